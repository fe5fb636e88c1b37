/** Organizations, sessions and budgets for tests of budgets: real Postgres. @module */
import { createId } from "@exoloop/protocol/ids";
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { BudgetLimits } from "../loop/budgets.ts";
import type { AgentSnapshot } from "../loop/context.ts";
import { createApiKey } from "../orgs/api-keys.ts";
import { readLog } from "../sessions/log.ts";
import { reduceLog } from "../sessions/reduce.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";

/** A session of an organization of its own, created by the API key `createdBy`. */
export async function insertSession(
  database: Kysely<Tables>,
  options: { readonly budget?: BudgetLimits; readonly agent?: Partial<AgentSnapshot> } = {},
): Promise<TestSession & { readonly createdBy: string }> {
  const session = await insertTestSession(database, options.agent ?? {});
  const { organizationId, sessionId } = session;
  const { id: createdBy } = await createApiKey(database, { organizationId, name: "test", scopes: ["admin"] });
  const budget = options.budget === undefined ? null : JSON.stringify(options.budget);
  await sql`update sessions set created_by = ${createdBy}, budget = ${budget}::jsonb where id = ${sessionId}`.execute(
    database,
  );
  return { ...session, createdBy };
}

/** Another session of the same organization, agent and user. */
export async function insertSibling<Session extends TestSession>(
  database: Kysely<Tables>,
  session: Session,
): Promise<Session> {
  const sessionId = createId("session");
  await sql`
    insert into sessions (id, organization_id, agent, agent_id, agent_version, environment_id, metadata, resources,
                          vault_ids, created_by)
    select ${sessionId}, organization_id, agent, agent_id, agent_version, environment_id, metadata, resources, vault_ids,
           created_by
    from sessions where id = ${session.sessionId}`.execute(database);
  return { ...session, sessionId };
}

interface Totals {
  readonly tokens: number;
  readonly costMicros: number;
  readonly steps: number;
  readonly sandboxMs: number;
  readonly runningMs: number;
}

/** What the ledger says that the organization and its users have used. */
export async function readLedger(
  database: Kysely<Tables>,
  organizationId: string,
): Promise<Readonly<Record<string, Totals>>> {
  const { rows } = await sql<Totals & { scope: string }>`
    select scope, sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens)::float8 as tokens,
      sum(cost_micros)::float8 as "costMicros", sum(steps)::float8 as steps, sum(sandbox_ms)::float8 as "sandboxMs",
      sum(running_ms)::float8 as "runningMs"
    from usage_totals where organization_id = ${organizationId} group by scope`.execute(database);
  return Object.fromEntries(rows.map(({ scope, ...totals }) => [scope, totals]));
}

/** The same, summed from the logs: of every session what it used itself, without what its threads told it. */
export async function sumLogs(database: Kysely<Tables>, organizationId: string): Promise<Totals> {
  const sessions = await database
    .selectFrom("sessions")
    .select(["id", "parent_session_id"])
    .where("organization_id", "=", organizationId)
    .execute();
  let sum: Totals = { tokens: 0, costMicros: 0, steps: 0, sandboxMs: 0, runningMs: 0 };
  for (const { id, parent_session_id: parent } of sessions) {
    const events = (await readLog(database, id, 0)).filter((event) => event.type !== "x.thread_settled");
    const { usage } = reduceLog(events);
    sum = {
      tokens: sum.tokens + usage.input + usage.output + usage.cacheRead + usage.cacheWrite,
      costMicros: sum.costMicros + usage.costMicros,
      steps: sum.steps + usage.steps,
      sandboxMs: sum.sandboxMs + usage.sandboxAwakeMs,
      runningMs: sum.runningMs + (parent === null ? usage.runningMs : 0),
    };
  }
  return sum;
}
