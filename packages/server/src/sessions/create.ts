/** A new session inside a transaction of the caller's: through the API, or by a deployment's run. @module */
import { type Kysely, type Selectable, sql, type Transaction } from "kysely";
import { resolveSessionAgent } from "../agents/resolve.ts";
import type { SessionTable, Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";
import { beginWithSnapshot } from "../sandboxes/snapshots/listed-snapshots.ts";
import { recordEvent } from "./event.ts";
import { admit } from "./inbox.ts";
import { lockSession } from "./locked-session.ts";
import { appendUnderLock } from "./log.ts";
import type { CreateSessionInput } from "./port.ts";
import { attachResources } from "./resources/attach.ts";
import type { SessionOwner } from "./owner.ts";
import { readNewBudget, requirePrices } from "./session-budget.ts";

export interface NewSession extends Omit<CreateSessionInput, "userId" | "visibility">, SessionOwner {
  readonly id: string;
  readonly organizationId: string;
  /** Null unless a deployment's run creates it. */
  readonly deploymentId: string | null;
  /** The API key; null where nobody asked. */
  readonly createdBy: string | null;
}

export interface CreateDependencies {
  readonly engine: Engine;
  /** Whether the model has a list price. */
  readonly isPriced: (model: string) => boolean;
}

/**
 * Stores the session, appends its initial events and wakes it. After the commit the caller announces the events, whose
 * numbers are 1 to their count.
 * @throws Problem `not_found`, `agent_archived`, `environment_archived`, `invalid_request`, `memory_store_archived`
 */
export async function insertSession(
  transaction: Transaction<Tables>,
  { engine, isPriced }: CreateDependencies,
  session: NewSession,
): Promise<Selectable<SessionTable>> {
  const { id, organizationId, environmentId, initialEvents } = session;
  const agent = await resolveSessionAgent(transaction, organizationId, session.agent);
  const { selfHosted } = await requireEnvironment(transaction, organizationId, environmentId);
  if (selfHosted && session.workspaceSnapshot !== undefined) {
    throw new Problem(
      "unsupported",
      "x_exoloop.workspace_snapshot: the environment is self-hosted, and its workspace is its worker's.",
      "Leave it out, or use an environment of type cloud.",
    );
  }
  const budget = readNewBudget(session.budget ?? {});
  if (budget.costMicros !== undefined) requirePrices(agent, isPriced);
  await transaction
    .insertInto("sessions")
    .values({
      id,
      organization_id: organizationId,
      agent: JSON.stringify(agent),
      agent_id: agent.id,
      agent_version: agent.version,
      environment_id: environmentId,
      title: session.title,
      metadata: JSON.stringify(session.metadata),
      resources: "[]",
      vault_ids: "[]",
      deployment_id: session.deploymentId,
      created_by: session.createdBy,
      user_id: session.userId,
      visibility: session.visibility,
      budget: Object.keys(budget).length === 0 ? null : JSON.stringify(budget),
    })
    .execute();
  await attachResources(transaction, { organizationId, sessionId: id }, session.resources ?? [], {
    initial: true,
    field: (index) => `resources[${index}]`,
  });
  if (session.workspaceSnapshot !== undefined) await beginWithSnapshot(transaction, session, session.workspaceSnapshot);
  const row = await lockSession(transaction, organizationId, id);
  if (initialEvents.length > 0) await admit(transaction, engine, id, initialEvents);
  if (session.untrusted) await appendUnderLock(transaction, id, [recordEvent("x.workspace_untrusted", {})]);
  return row;
}

/** @throws Problem `not_found`, `environment_archived` */
export async function requireEnvironment(
  database: Kysely<Tables>,
  organizationId: string,
  environmentId: string,
): Promise<{ readonly selfHosted: boolean }> {
  const row = await database
    .selectFrom("environments")
    .select(["archived_at", sql<string | null>`config->>'type'`.as("type")])
    .where("id", "=", environmentId)
    .where("organization_id", "=", organizationId)
    .forShare()
    .executeTakeFirst();
  if (row === undefined) {
    throw new Problem(
      "not_found",
      "environment_id: there is no environment with this id.",
      "List environments with GET /v1/environments.",
    );
  }
  if (row.archived_at !== null) {
    throw new Problem("environment_archived", "environment_id: this environment is archived.", "Use another one.");
  }
  return { selfHosted: row.type === "self_hosted" };
}
