/** Work for the workers of self-hosted environments, and the keys that they take it with. @module */
import { z } from "zod";
import { deletionOf, pageOf } from "./pages.ts";
import { metadataPatch, timestamp } from "./values.ts";

export const workStates = ["queued", "starting", "active", "stopping", "stopped"] as const;
const workState = z.enum(workStates);

export const workItem = z
  .object({
    id: z.string(),
    type: z.literal("work"),
    environment_id: z.string(),
    data: z.object({ type: z.literal("session"), id: z.string() }),
    state: workState,
    metadata: z.record(z.string(), z.string()),
    /** Only in the answer to a poll: base64url of `workSecret` as JSON. */
    secret: z.string().nullable(),
    created_at: timestamp,
    acknowledged_at: timestamp.nullable(),
    started_at: timestamp.nullable(),
    latest_heartbeat_at: timestamp.nullable(),
    stop_requested_at: timestamp.nullable(),
    stopped_at: timestamp.nullable(),
  })
  .meta({ id: "WorkItem" });
export type WorkItem = z.infer<typeof workItem>;

/** Null when there is none. */
export const polledWork = workItem.nullable().meta({ id: "PolledWork" });

/** What a worker serves the session with. */
export interface WorkSecret {
  /** Bearer for this session and this item, until the item is stopped. */
  readonly sessions_token: string;
  readonly api_base_url: string;
}

/**
 * @example writeWorkSecret({ sessions_token: "exow_…", api_base_url: "http://127.0.0.1:4000" })
 */
export function writeWorkSecret(secret: WorkSecret): string {
  const bytes = new TextEncoder().encode(JSON.stringify(secret));
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export const workItemPage = pageOf(workItem).meta({ id: "WorkItemPage" });

/** What a first heartbeat expects. */
export const noHeartbeat = "NO_HEARTBEAT";

const leaseState = { state: workState, ttl_seconds: z.number() };

export const workHeartbeat = z
  .object({
    type: z.literal("work_heartbeat"),
    /** To be sent with the next one, as it is. */
    last_heartbeat: z.string(),
    lease_extended: z.boolean(),
    ...leaseState,
  })
  .meta({ id: "WorkHeartbeat" });
export type WorkHeartbeat = z.infer<typeof workHeartbeat>;

/** `error.details.current_state` of a heartbeat that was refused. */
export interface WorkLeaseState {
  readonly state: WorkItem["state"];
  readonly ttl_seconds: number;
  readonly last_heartbeat: string | null;
  readonly lease_extended: false;
}

/** `force`: at once, without waiting for the worker. */
export const stopWorkRequest = z
  .strictObject({ force: z.exactOptional(z.boolean().nullable()) })
  .meta({ id: "StopWorkRequest" });

/** Null and the empty string delete a key. */
export const updateWorkRequest = z.strictObject({ metadata: metadataPatch }).meta({ id: "UpdateWorkRequest" });

export const workStats = z
  .object({
    type: z.literal("work_queue_stats"),
    /** Items that nobody has taken. */
    depth: z.int(),
    /** Taken and not acknowledged. */
    pending: z.int(),
    oldest_queued_at: timestamp.nullable(),
    /** Workers that have polled, with their name, within 30 seconds. */
    workers_polling: z.int(),
  })
  .meta({ id: "WorkStats" });
export type WorkStats = z.infer<typeof workStats>;

export const createEnvironmentKeyRequest = z
  .strictObject({ name: z.string().min(1).max(255) })
  .meta({ id: "CreateEnvironmentKeyRequest" });

export const environmentKey = z
  .object({
    id: z.string(),
    type: z.literal("environment_key"),
    environment_id: z.string(),
    name: z.string(),
    created_at: timestamp,
    last_used_at: timestamp.nullable(),
  })
  .meta({ id: "EnvironmentKey" });
export type EnvironmentKey = z.infer<typeof environmentKey>;

/** The only time that the key is shown. */
export const environmentKeyWithSecret = environmentKey
  .extend({ key: z.string() })
  .meta({ id: "EnvironmentKeyWithSecret" });
export type EnvironmentKeyWithSecret = z.infer<typeof environmentKeyWithSecret>;

export const environmentKeyPage = pageOf(environmentKey).meta({ id: "EnvironmentKeyPage" });
export const environmentKeyDeletion = deletionOf("environment_key_deleted").meta({ id: "EnvironmentKeyDeletion" });
