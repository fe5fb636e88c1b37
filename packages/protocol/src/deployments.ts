/** Deployments: an agent with what it is told, started by a schedule or by hand; and their runs. @module */
import { z } from "zod";
import { messageBlock, textBlock } from "./content.ts";
import { sendableEvent } from "./events.ts";
import { pageOf } from "./pages.ts";
import { budgetLimit } from "./budgets.ts";
import { resourceConfig, resourceInput } from "./session-resources.ts";
import { metadata, metadataPatch, reference, timestamp } from "./values.ts";

export const deploymentStatuses = ["active", "paused"] as const;
export type DeploymentStatus = (typeof deploymentStatuses)[number];

/**
 * What becomes of instants that passed while no worker could take them. `skip`: nothing. `run_once`: the latest of them
 * is run. `run_all`: each is run, one after the other, at most the latest hundred.
 */
export const missedRunsPolicies = ["skip", "run_once", "run_all"] as const;
export type MissedRunsPolicy = (typeof missedRunsPolicies)[number];

/** What becomes of an instant that comes while an earlier run goes on. `skip`: nothing. `queue`: it waits its turn. */
export const overlapPolicies = ["skip", "queue"] as const;
export type OverlapPolicy = (typeof overlapPolicies)[number];

const name = z.string().min(1).max(255);
const description = z.string().max(2048);

const deployedAgent = z.union([
  reference,
  z.strictObject({ type: z.literal("agent"), id: reference, version: z.exactOptional(z.int().min(1)) }),
]);

/** Five POSIX fields: minute, hour, day of month, month, day of week. The expression itself is judged by the server. */
const scheduleInput = z.strictObject({
  type: z.literal("cron"),
  expression: z.string().min(1).max(512),
  timezone: z.string().min(1).max(64),
});
export type ScheduleInput = z.infer<typeof scheduleInput>;

const additions = z.strictObject({
  missed_runs: z.exactOptional(z.enum(missedRunsPolicies)),
  overlap: z.exactOptional(z.enum(overlapPolicies)),
});

const initialEvents = z.array(sendableEvent).min(1).max(50);
const resources = z.array(resourceInput).max(500);
const vaultIds = z.array(reference).max(50);

export const createDeploymentRequest = z
  .strictObject({
    name,
    agent: deployedAgent,
    environment_id: reference,
    initial_events: initialEvents,
    schedule: z.exactOptional(scheduleInput.nullable()),
    description: z.exactOptional(description.nullable()),
    metadata: z.exactOptional(metadata),
    resources: z.exactOptional(resources),
    vault_ids: z.exactOptional(vaultIds),
    budget: z.exactOptional(budgetLimit.nullable()),
    x_exoloop: z.exactOptional(additions),
  })
  .meta({ id: "CreateDeploymentRequest" });
export type CreateDeploymentRequest = z.infer<typeof createDeploymentRequest>;

/** Absent members stay; null clears what can be cleared. */
export const updateDeploymentRequest = z
  .strictObject({
    name: z.exactOptional(name),
    agent: z.exactOptional(deployedAgent),
    environment_id: z.exactOptional(reference),
    initial_events: z.exactOptional(initialEvents),
    schedule: z.exactOptional(scheduleInput.nullable()),
    description: z.exactOptional(description.nullable()),
    metadata: z.exactOptional(metadataPatch.nullable()),
    resources: z.exactOptional(resources.nullable()),
    vault_ids: z.exactOptional(vaultIds.nullable()),
    budget: z.exactOptional(budgetLimit.nullable()),
    x_exoloop: z.exactOptional(additions),
  })
  .meta({ id: "UpdateDeploymentRequest" });
export type UpdateDeploymentRequest = z.infer<typeof updateDeploymentRequest>;

/** Errors that pause a schedule: it would fail again until someone changes something. */
export const pausingErrors = [
  "agent_archived_error",
  "environment_archived_error",
  "environment_not_found_error",
  "vault_not_found_error",
  "vault_archived_error",
  "file_not_found_error",
  "memory_store_archived_error",
  "skill_not_found_error",
  "session_resource_not_found_error",
  "workspace_archived_error",
  "organization_disabled_error",
  "self_hosted_resources_unsupported_error",
  "mcp_egress_blocked_error",
  "unknown_error",
] as const;

/** Errors after which the schedule goes on. */
const passingErrors = ["session_rate_limited_error", "session_creation_rejected_error"] as const;

export const runError = z.object({ type: z.enum([...pausingErrors, ...passingErrors]), message: z.string() });
export type RunError = z.infer<typeof runError>;

export const pausedReason = z.discriminatedUnion("type", [
  z.object({ type: z.literal("manual") }),
  z.object({ type: z.literal("error"), error: z.object({ type: z.enum(pausingErrors) }) }),
]);
export type PausedReason = z.infer<typeof pausedReason>;

const agentReference = z.object({ type: z.literal("agent"), id: z.string(), version: z.int() });

const initialEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("user.message"), content: z.array(messageBlock) }),
  z.object({
    type: z.literal("user.define_outcome"),
    description: z.string(),
    rubric: z.discriminatedUnion("type", [
      z.object({ type: z.literal("text"), content: z.string() }),
      z.object({ type: z.literal("file"), file_id: z.string() }),
    ]),
    max_iterations: z.exactOptional(z.int().nullable()),
  }),
  z.object({ type: z.literal("system.message"), content: z.array(textBlock) }),
]);
export type InitialEvent = z.infer<typeof initialEvent>;

export const deployment = z
  .object({
    id: z.string(),
    type: z.literal("deployment"),
    name: z.string(),
    description: z.string().nullable(),
    agent: agentReference,
    environment_id: z.string(),
    initial_events: z.array(initialEvent),
    schedule: z
      .object({
        type: z.literal("cron"),
        expression: z.string(),
        timezone: z.string(),
        last_run_at: timestamp.nullable(),
        /** Empty once archived. */
        upcoming_runs_at: z.array(timestamp).max(5),
      })
      .nullable(),
    status: z.enum(deploymentStatuses),
    paused_reason: pausedReason.nullable(),
    resources: z.array(resourceConfig),
    vault_ids: z.array(z.string()),
    metadata: z.record(z.string(), z.string()),
    budget: z.null(),
    created_at: timestamp,
    updated_at: timestamp,
    archived_at: timestamp.nullable(),
    /** What this server adds to the shared object. */
    x_exoloop: z.object({
      missed_runs: z.enum(missedRunsPolicies),
      overlap: z.enum(overlapPolicies),
      /** Instants that wait for an earlier run to end, oldest first. */
      queued_runs_at: z.array(timestamp),
      /** Instants that were passed over, by either policy. */
      skipped_runs: z.int(),
      last_skipped_at: timestamp.nullable(),
    }),
  })
  .meta({ id: "Deployment" });
export type Deployment = z.infer<typeof deployment>;

export const deploymentPage = pageOf(deployment).meta({ id: "DeploymentPage" });

export const triggerTypes = ["schedule", "manual"] as const;
export type TriggerType = (typeof triggerTypes)[number];

/** The record of one start: exactly one of `session_id` and `error` is not null. */
export const deploymentRun = z
  .object({
    id: z.string(),
    type: z.literal("deployment_run"),
    deployment_id: z.string(),
    agent: agentReference,
    session_id: z.string().nullable(),
    error: runError.nullable(),
    trigger_context: z.discriminatedUnion("type", [
      z.object({ type: z.literal("schedule"), scheduled_at: timestamp }),
      z.object({ type: z.literal("manual") }),
    ]),
    created_at: timestamp,
  })
  .meta({ id: "DeploymentRun" });
export type DeploymentRun = z.infer<typeof deploymentRun>;

export const deploymentRunPage = pageOf(deploymentRun).meta({ id: "DeploymentRunPage" });
