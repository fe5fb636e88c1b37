/** Reads what a run left behind: straight from the tables, past the code that wrote them. @module */
import { join } from "node:path";
import { type Database, openDatabase } from "@exoloop/server/db/database";
import type { Conversation } from "./conversation.ts";
import type { Evidence, LoggedEvent, SessionEvidence } from "./evidence.ts";
import type { Blow } from "./journal.ts";
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
    const notes = planned.filter((call) => call.name === "write").map((call) => String(call.input["file_path"]));
    sessions.push({
      sessionId,
      log: await readSessionLog(database, sessionId),
      received,
      acknowledged,
      planned,
      captured: await readStoredLines(database, plan.journal),
      versions: await countVersions(database, notes),
      stuck,
    });
  }
  return {
    sessions,
    outside: readLines<OutsideEntry>(join(shared, outsideFile)),
    claims: readLines<ClaimEntry>(join(shared, claimsFile)),
    blows,
  };
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

async function countVersions(database: Database, paths: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (paths.length === 0) return new Map();
  const rows = await database
    .selectFrom("file_versions")
    .select(({ fn }) => ["path", fn.countAll<number>().as("count")])
    .where("path", "in", paths)
    .groupBy("path")
    .execute();
  return new Map(rows.map(({ path, count }) => [path, Number(count)]));
}
