/** Reads what a run left behind: straight from the tables, past the code that wrote them. @module */
import { join } from "node:path";
import { type Database, openDatabase } from "@exoloop/server/db/database";
import type { Conversation } from "./conversation.ts";
import type { Evidence, LoggedEvent, SessionEvidence } from "./evidence.ts";
import type { Blow } from "./journal.ts";
import type { PlannedCall } from "./plan.ts";
import { readLines } from "./pool.ts";
import { type ClaimEntry, claimsFile, type OutsideEntry, outsideFile } from "./worker-messages.ts";

export async function withDatabase<Result>(
  url: string,
  work: (database: Database) => Promise<Result>,
): Promise<Result> {
  const database = await openDatabase(url, { maximumConnections: 2, applicationName: "exoloop bench" });
  try {
    return await work(database);
  } finally {
    await database.destroy();
  }
}

export async function collectEvidence(
  database: Database,
  shared: string,
  conversations: readonly Conversation[],
  blows: readonly Blow[],
): Promise<Evidence> {
  const sessions: SessionEvidence[] = [];
  for (const { sessionId, plan, received, acknowledged, stuck } of conversations) {
    const planned = plan.rounds.flatMap((round) => round.calls);
    const captured = await readStoredLines(database, plan.journal);
    const own = { log: await readSessionLog(database, sessionId), versions: await countVersions(database, planned) };
    sessions.push({ sessionId, ...own, received, acknowledged, planned, captured, stuck });
    sessions.push(...(await collectThreads(database, sessionId, planned, stuck)));
  }
  return {
    sessions,
    outside: readLines<OutsideEntry>(join(shared, outsideFile)),
    claims: readLines<ClaimEntry>(join(shared, claimsFile)),
    blows,
  };
}

/** A thread is known by its task. One that nobody planned has no planned calls, and all that it did is wrong. */
async function collectThreads(
  database: Database,
  parentId: string,
  planned: readonly PlannedCall[],
  stuck: string | null,
): Promise<readonly SessionEvidence[]> {
  const threads = await database
    .selectFrom("sessions")
    .select("id")
    .where("parent_session_id", "=", parentId)
    .orderBy("id")
    .execute();
  const evidence: SessionEvidence[] = [];
  for (const { id: sessionId } of threads) {
    const log = await readSessionLog(database, sessionId);
    const task = JSON.stringify(log.find((event) => event.type === "user.message")?.data ?? {});
    const work = planned.find(
      ({ delegated }) => delegated !== null && task.includes(JSON.stringify(delegated.end).slice(1, -1)),
    );
    const calls = work?.delegated?.calls ?? [];
    const versions = await countVersions(database, calls);
    const bare = { received: null, acknowledged: [], captured: [] };
    // What a stuck session has not begun is no fault of its threads.
    evidence.push({
      sessionId,
      log,
      versions,
      planned: calls,
      stuck: stuck === null ? null : "its session is stuck",
      ...bare,
    });
  }
  return evidence;
}

async function readSessionLog(database: Database, sessionId: string): Promise<readonly LoggedEvent[]> {
  const rows = await database
    .selectFrom("session_events")
    .select(["seq", "id", "type", "data", "record", "epoch", "created_at"])
    .where("session_id", "=", sessionId)
    .orderBy("seq")
    .execute();
  return rows.map(({ created_at, ...row }) => ({ ...row, sessionId, at: created_at.getTime() }));
}

async function readStoredLines(database: Database, path: string): Promise<readonly string[]> {
  const rows = await database
    .selectFrom("file_entries")
    .innerJoin("file_texts", "file_texts.entry_id", "file_entries.id")
    .select("file_texts.body")
    .where("file_entries.path", "=", path)
    .execute();
  return rows.flatMap(({ body }) => body.split("\n").filter((line) => line !== ""));
}

/** Of the stored files that these calls write. */
async function countVersions(
  database: Database,
  planned: readonly PlannedCall[],
): Promise<ReadonlyMap<string, number>> {
  const paths = planned.filter((call) => call.name === "write").map((call) => String(call.input["file_path"]));
  if (paths.length === 0) return new Map();
  const rows = await database
    .selectFrom("file_versions")
    .select(({ fn }) => ["path", fn.countAll<number>().as("count")])
    .where("path", "in", paths)
    .groupBy("path")
    .execute();
  return new Map(rows.map(({ path, count }) => [path, Number(count)]));
}
