/**
 * What an upgrade of the loop finds: sessions in the middle of something that an older version has driven. They are woken,
 * so that a worker of this version takes them over; idle ones wait for input anyway.
 * @module
 */
import type { Database } from "../db/database.ts";
import type { Engine } from "../engine/engine.ts";

/** Rows that are locked at a time. */
const batch = 100;

/**
 * Wakes the sessions of older versions that are running or will go on by themselves; returns how many. Safe in several
 * workers at once, and again: a wake of a session that has a turn queued is no second one.
 * @example await wakeOlderSessions(database, engine, loopProtocolVersion);
 */
export async function wakeOlderSessions(
  database: Database,
  engine: Pick<Engine, "wake">,
  protocolVersion: number,
): Promise<number> {
  let woken = 0;
  for (let after = ""; ;) {
    const ids = await wakeBatch(database, engine, protocolVersion, after);
    woken += ids.length;
    const last = ids.at(-1);
    if (last === undefined) return woken;
    after = last;
  }
}

function wakeBatch(
  database: Database,
  engine: Pick<Engine, "wake">,
  protocolVersion: number,
  after: string,
): Promise<readonly string[]> {
  return database.transaction().execute(async (transaction) => {
    const rows = await transaction
      .selectFrom("sessions")
      .select("id")
      .where("status", "in", ["running", "rescheduling"])
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
