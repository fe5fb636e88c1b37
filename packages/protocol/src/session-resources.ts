/** What is attached to a session: memory stores, and files. @module */
import { z } from "zod";
import { deletionOf, pageOf } from "./pages.ts";
import { reference, timestamp } from "./values.ts";

export const maximumAttachedStores = 8;

const access = z.enum(["read_only", "read_write"]);
const instructions = z.string().max(4_096);

const memoryStoreInput = z.strictObject({
  type: z.literal("memory_store"),
  memory_store_id: reference,
  /** `read_write` unless it says otherwise. */
  access: z.exactOptional(access.nullable()),
  instructions: z.exactOptional(instructions.nullable()),
});
export type MemoryStoreInput = z.infer<typeof memoryStoreInput>;

const fileInput = z.strictObject({
  type: z.literal("file"),
  file_id: reference,
  mount_path: z.exactOptional(z.string().max(4_096).nullable()),
});

const repositoryInput = z.looseObject({ type: z.literal("github_repository") });

export const resourceInput = z
  .discriminatedUnion("type", [memoryStoreInput, fileInput, repositoryInput])
  .meta({ id: "SessionResourceInput" });
export type ResourceInput = z.infer<typeof resourceInput>;

/** A store has no identifier besides its own: a session has it once. */
const memoryStoreResource = z.object({
  type: z.literal("memory_store"),
  memory_store_id: z.string(),
  access,
  instructions: z.string().nullable(),
  mount_path: z.string(),
  /** As they were when it was attached. */
  name: z.string(),
  description: z.string(),
});

const fileResource = z.object({
  type: z.literal("file"),
  id: z.string(),
  file_id: z.string(),
  mount_path: z.string(),
  created_at: timestamp,
  updated_at: timestamp,
});

export const sessionResource = z
  .discriminatedUnion("type", [memoryStoreResource, fileResource])
  .meta({ id: "SessionResource" });
export type SessionResource = z.infer<typeof sessionResource>;

/** What a deployment gives to its sessions, as it was sent. */
export const resourceConfig = z.object({
  type: z.literal("memory_store"),
  memory_store_id: z.string(),
  access: access.nullable(),
  instructions: z.string().nullable(),
});
export type ResourceConfig = z.infer<typeof resourceConfig>;

/** New tokens are for repositories, which this server has not. */
export const updateResourceRequest = z
  .strictObject({ authorization_token: z.string().min(1).max(4_096) })
  .meta({ id: "UpdateSessionResourceRequest" });

export const sessionResourcePage = pageOf(sessionResource).meta({ id: "SessionResourcePage" });
export const sessionResourceDeletion = deletionOf("session_resource_deleted").meta({ id: "SessionResourceDeletion" });
