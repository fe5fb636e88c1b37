/**
 * Awake time that no result will tell: of background commands, previews and kills after a session's last tool call. It
 * is written into the log of a session that does not run, by any process, and charged to the ledger with it. While a
 * session runs, its next result tells.
 * @module
 */
import { sql } from "kysely";
import { chargeOf } from "../../sessions/charge.ts";
import { recordEvent } from "../../sessions/event.ts";
import { chargeLedger } from "../../sessions/ledger.ts";
import { appendUnderLock } from "../../sessions/log.ts";
import type { SandboxDependencies } from "../held-sandbox.ts";

type Dependencies = Pick<SandboxDependencies, "database" | "notices">;

/** Nothing where nothing is owed, or the session runs: log, ledger and row change together, once. */
export async function tellOwed({ database, notices }: Dependencies, sessionId: string): Promise<void> {
  const seq = await database.transaction().execute(async (transaction) => {
    const resting = await transaction
      .selectFrom("sessions")
      .select("id")
      .where("id", "=", sessionId)
      .where("status", "!=", "running")
      .forNoKeyUpdate()
      .executeTakeFirst();
    if (resting === undefined) return null;
    const { rows } = await sql<{ owed: number }>`
      with before as (
        select session_id, owed_milliseconds as owed from sandboxes
        where session_id = ${sessionId} and owed_milliseconds >= 1 for update
      )
      update sandboxes set owed_milliseconds = 0 from before where sandboxes.session_id = before.session_id
      returning before.owed`.execute(transaction);
    const [row] = rows;
    if (row === undefined) return null;
    const events = [recordEvent("x.sandbox_awake", { sandbox_awake_ms: Math.round(row.owed) })];
    const [stored] = await appendUnderLock(transaction, sessionId, events);
    const charge = chargeOf(events);
    if (stored === undefined || charge === null) return null;
    await chargeLedger(transaction, sessionId, charge, stored.seq);
    return stored.seq;
  });
  if (seq !== null) notices.publish({ type: "appended", sessionId, seq });
}

const atOnce = 100;

/** One round, for sessions that came to rest after their sandbox did, and for what a lost server has left. */
export async function tellAllOwed(dependencies: Dependencies, signal?: AbortSignal): Promise<void> {
  const { rows } = await sql<{ sessionId: string }>`
    select sandboxes.session_id as "sessionId" from sandboxes join sessions on sessions.id = sandboxes.session_id
    where owed_milliseconds >= 1 and state != 'awake' and sessions.status != 'running'
    limit ${atOnce}`.execute(dependencies.database);
  for (const { sessionId } of rows) {
    if (signal?.aborted === true) return;
    await tellOwed(dependencies, sessionId);
  }
}
