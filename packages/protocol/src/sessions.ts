/** Sessions. @module */
import { z } from "zod";
import { modelInput, skillInput } from "./agents.ts";
import { budgetLimit, budgetLimitAnswer, budgetLimits, budgetLimitsPatch, listCost, sessionBudget } from "./budgets.ts";
import { sendableEvent } from "./events.ts";
import { bidirectionalPageOf, deletionOf } from "./pages.ts";
import { resourceInput, sessionResource } from "./session-resources.ts";
import { sandboxFigures } from "./sandboxes.ts";
import { sessionAgent } from "./session-agent.ts";
import { mcpServer, toolInput } from "./tools.ts";
import { metadata, metadataPatch, reference, timestamp } from "./values.ts";

export type { SessionAgent } from "./session-agent.ts";

export const sessionStatuses = ["idle", "running", "rescheduling", "terminated"] as const;
export const sessionStatus = z.enum(sessionStatuses);
export type SessionStatus = z.infer<typeof sessionStatus>;

/** `private`: its person's alone. `shared`: everybody's in the organization. */
const sessionVisibility = z.enum(["private", "shared"]);

const tools = z.array(toolInput).max(256);
const mcpServers = z.array(mcpServer).max(20);
const version = z.int().min(1);

/** An agent's identifier alone means its latest version. */
const sessionAgentReference = z.union([
  reference,
  z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("agent"), id: reference, version: z.exactOptional(version) }),
    z.strictObject({
      type: z.literal("agent_with_overrides"),
      id: reference,
      version: z.exactOptional(version),
      model: z.exactOptional(modelInput),
      system: z.exactOptional(z.string().max(100_000).nullable()),
      tools: z.exactOptional(tools),
      mcp_servers: z.exactOptional(mcpServers),
      skills: z.exactOptional(z.array(skillInput).max(64)),
    }),
  ]),
]);
export type SessionAgentReference = z.infer<typeof sessionAgentReference>;

const title = z.string().max(255);

export const createSessionRequest = z
  .strictObject({
    agent: sessionAgentReference,
    environment_id: reference,
    title: z.exactOptional(title.nullable()),
    metadata: z.exactOptional(metadata),
    initial_events: z.exactOptional(z.array(sendableEvent).max(50)),
    resources: z.exactOptional(z.array(resourceInput).max(500)),
    vault_ids: z.exactOptional(z.array(reference).max(50)),
    budget: z.exactOptional(budgetLimit),
    x_exoloop: z.exactOptional(
      z.strictObject({
        budget: z.exactOptional(budgetLimits),
        /** The workspace begins as this snapshot, of any session of the organization. */
        workspace_snapshot: z.exactOptional(reference),
        /** For whom it works: an admin's key may say it, another key's own person is meant anyway. */
        user_id: z.exactOptional(reference),
        /** `private` unless given where it works for a person, else `shared`. */
        visibility: z.exactOptional(sessionVisibility),
      }),
    ),
  })
  .meta({ id: "CreateSessionRequest" });
export type CreateSessionRequest = z.infer<typeof createSessionRequest>;

const sessionAgentUpdate = z.strictObject({
  tools: z.exactOptional(tools),
  mcp_servers: z.exactOptional(mcpServers),
});
export type SessionAgentUpdate = z.infer<typeof sessionAgentUpdate>;

export const updateSessionRequest = z
  .strictObject({
    title: z.exactOptional(title.nullable()),
    metadata: z.exactOptional(metadataPatch.nullable()),
    agent: z.exactOptional(sessionAgentUpdate),
    budget: z.exactOptional(budgetLimit.nullable()),
    vault_ids: z.exactOptional(z.array(reference).max(50)),
    /** A budget of null has no limits at all. */
    x_exoloop: z.exactOptional(z.strictObject({ budget: z.exactOptional(budgetLimitsPatch.nullable()) })),
  })
  .meta({ id: "UpdateSessionRequest" });
export type UpdateSessionRequest = z.infer<typeof updateSessionRequest>;

/** How far an outcome is reached; `iteration` counts from zero. */
const outcomeEvaluation = z.object({
  type: z.literal("outcome_evaluation"),
  outcome_id: z.string(),
  description: z.string(),
  /** The first three are on their way to one of the others. */
  result: z.enum(["pending", "running", "evaluating", "satisfied", "max_iterations_reached", "failed", "interrupted"]),
  iteration: z.int(),
  explanation: z.string().nullable(),
  completed_at: timestamp.nullable(),
});
export type OutcomeEvaluation = z.infer<typeof outcomeEvaluation>;

export const session = z
  .object({
    id: z.string(),
    type: z.literal("session"),
    agent: sessionAgent,
    status: sessionStatus,
    title: z.string().nullable(),
    environment_id: z.string(),
    resources: z.array(sessionResource),
    vault_ids: z.array(z.string()),
    metadata: z.record(z.string(), z.string()),
    budget: budgetLimitAnswer.nullable(),
    outcome_evaluations: z.array(outcomeEvaluation),
    stats: z.object({ active_seconds: z.number(), duration_seconds: z.number() }),
    usage: z.object({
      input_tokens: z.int(),
      output_tokens: z.int(),
      cache_read_input_tokens: z.int(),
      cache_creation: z.object({
        ephemeral_5m_input_tokens: z.int(),
        ephemeral_1h_input_tokens: z.int(),
      }),
      active_seconds: z.number(),
      /** Absent while no model with a list price was used. */
      list_cost: z.exactOptional(listCost),
    }),
    /** The deployment whose run created it. */
    deployment_id: z.string().nullable(),
    created_at: timestamp,
    updated_at: timestamp,
    archived_at: timestamp.nullable(),
    /** What this server adds to the shared object. */
    x_exoloop: z.object({
      sandbox: sandboxFigures.nullable(),
      budget: sessionBudget,
      /** For whom it works; null: nobody in particular. */
      user_id: z.string().nullable(),
      visibility: sessionVisibility,
    }),
  })
  .meta({ id: "Session" });
export type Session = z.infer<typeof session>;

export const sessionShare = z
  .object({
    type: z.literal("session_share"),
    session_id: z.string(),
    visibility: z.literal("shared"),
    /** False: it was shared before. */
    changed: z.boolean(),
    /** Its sandbox held a copy of its person's memory; the next command gets another one. */
    sandbox_replaced: z.boolean(),
    /** To be shown to whoever shared it. */
    warnings: z.array(z.string()),
  })
  .meta({ id: "SessionShare" });
export type SessionShare = z.infer<typeof sessionShare>;

export const sessionPage = bidirectionalPageOf(session).meta({ id: "SessionPage" });
export const sessionDeletion = deletionOf("session_deleted").meta({ id: "SessionDeletion" });
