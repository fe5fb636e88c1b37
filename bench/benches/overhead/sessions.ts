/** Sessions of the bench: made in bulk, given messages, and measured by what is in their logs. @module */
import { setTimeout as sleep } from "node:timers/promises";
import { createId } from "@exoloop/protocol/ids";
import type { Database } from "@exoloop/server/db/database";
import type { Tables } from "@exoloop/server/db/tables";
import { publicEvent } from "@exoloop/server/sessions/event";
import { appendUnderLock } from "@exoloop/server/sessions/log";
import { insertTestSession } from "@exoloop/server/sessions/testing-database";
import { sql, type Transaction } from "kysely";

/** One organization with `count` sessions, as the API would have made them. */
export async function createSessions(database: Database, count: number): Promise<readonly string[]> {
  const first = await insertTestSession(database);
  const ids = Array.from({ length: count - 1 }, () => createId("session"));
  await sql`
    insert into sessions (id, organization_id, agent, agent_id, agent_version, environment_id)
    select new_id, organization_id, agent, agent_id, agent_version, environment_id
    from sessions, unnest(${ids}::text[]) as new_id where id = ${first.sessionId}`.execute(database);
  return [first.sessionId, ...ids];
}

/** As the inbox does it: under the session's row lock, with the wake in the same transaction. */
export async function admitMessage(
  database: Database,
  sessionId: string,
  text: string,
  wake: (transaction: Transaction<Tables>) => Promise<void>,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    await transaction.selectFrom("sessions").select("id").where("id", "=", sessionId).forUpdate().execute();
    await appendUnderLock(transaction, sessionId, [publicEvent("user.message", { content: [{ type: "text", text }] })]);
    await wake(transaction);
  });
}

/** Waits until each of these has written something as a driver and is idle. Every look costs one small query. */
export async function untilIdle(database: Database, sessionIds: readonly string[], minutes = 5): Promise<void> {
  for (const deadline = Date.now() + minutes * 60_000; Date.now() < deadline; await sleep(150)) {
    const { rows } = await sql<{ busy: boolean }>`
      select exists (
        select from sessions where id = any(${sessionIds}::text[]) and (status <> 'idle' or head_seq < 2)
      ) as busy`.execute(database);
    if (rows[0]?.busy === false) return;
  }
  throw new Error(`the sessions did not finish within ${minutes} minutes`);
}

/** Milliseconds between the starts of neighbouring model calls in one session: a model call and a tool call. */
export async function pairTimes(database: Database, sessionId: string): Promise<number[]> {
  const { rows } = await sql<{ pair: number }>`
    select pair from (
      select extract(epoch from created_at - lag(created_at) over (order by seq))::float8 * 1000 as pair
      from session_events where session_id = ${sessionId} and type = 'span.model_request_start'
    ) pairs where pair is not null`.execute(database);
  return rows.map((row) => row.pair);
}

/** From the first to the last row that a driver has written for these sessions, in seconds. */
export async function spanSeconds(database: Database, sessionIds: readonly string[]): Promise<number> {
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from max(created_at) - min(created_at))::float8 as seconds
    from session_events where session_id = any(${sessionIds}::text[]) and type <> 'user.message'`.execute(database);
  return rows[0]?.seconds ?? 0;
}

/** Milliseconds from the last message of a session to the first row that a driver wrote after it; null before. */
export async function wakeTime(database: Database, sessionId: string): Promise<number | null> {
  const { rows } = await sql<{ milliseconds: number | null }>`
    with message as (
      select seq, created_at from session_events
      where session_id = ${sessionId} and type = 'user.message' order by seq desc limit 1
    )
    select extract(epoch from min(event.created_at) - min(message.created_at))::float8 * 1000 as milliseconds
    from session_events event, message where event.session_id = ${sessionId} and event.seq > message.seq`.execute(
    database,
  );
  return rows[0]?.milliseconds ?? null;
}
