/**
 * What an upgrade of the loop finds: sessions in the middle of something that an older version has driven. They are woken,
 * so that a worker of this version takes them over. Idle ones wait for input anyway, but for those that were asked for
 * something: to that an older version may have set no end.
 * @module
 */
import { type Expression, type ExpressionBuilder, type SqlBool, sql } from "kysely";
import type { Database } from "../db/database.ts";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";

/** Rows that are locked at a time. */
const batch = 100;

type Condition = (expression: ExpressionBuilder<Tables, "sessions">) => Expression<SqlBool>;

const unfinished: Condition = (expression) => expression("status", "in", ["running", "rescheduling"]);

/** Resting on a question: the last rest says so. */
const asking: Condition = (expression) =>
  expression.and([
    expression("status", "=", "idle"),
    sql<boolean>`(
      select data->'stop_reason'->>'type' from session_events
      where session_id = sessions.id and type = 'session.status_idle' order by seq desc limit 1
    ) = 'requires_action'`,
  ]);

/**
 * Wakes the sessions of older versions that are running, will go on by themselves or ask for something; returns how many.
 * Safe in several workers at once, and again: a wake of a session that has a turn queued is no second one.
 * @example await wakeOlderSessions(database, engine, loopProtocolVersion);
 */
export async function wakeOlderSessions(
  database: Database,
  engine: Pick<Engine, "wake">,
  protocolVersion: number,
): Promise<number> {
  let woken = 0;
  for (const condition of [unfinished, asking]) {
    for (let after: string | undefined = ""; after !== undefined;) {
      const ids = await wakeBatch(database, engine, protocolVersion, condition, after);
      woken += ids.length;
      after = ids.at(-1);
    }
  }
  return woken;
}

function wakeBatch(
  database: Database,
  engine: Pick<Engine, "wake">,
  protocolVersion: number,
  condition: Condition,
  after: string,
): Promise<readonly string[]> {
  return database.transaction().execute(async (transaction) => {
    const rows = await transaction
      .selectFrom("sessions")
      .select("id")
      .where(condition)
      .where("protocol_version", "<", protocolVersion)
      .where("archived_at", "is", null)
      .where("id", ">", after)
      .orderBy("id")
      .limit(batch)
      .forUpdate()
      .execute();
    for (const { id } of rows) await engine.wake(id, transaction);
    return rows.map((row) => row.id);
  });
}
