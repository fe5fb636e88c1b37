/** Figures about sessions' sandboxes, for the API. @module */
import type { Sandbox, SandboxFigures } from "@exoloop/protocol/sandboxes";
import type { Kysely, Selectable } from "kysely";
import type { Tables } from "../db/tables.ts";
import { openTo } from "../sessions/access.ts";
import type { Principal } from "../orgs/principal.ts";
import type { SandboxTable } from "../db/tables/sandboxes.ts";

/** Figures by session id; a session that has used no sandbox is absent. */
export async function readSandboxFigures(
  database: Kysely<Tables>,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, SandboxFigures>> {
  if (sessionIds.length === 0) return new Map();
  const rows = await database
    .selectFrom("sandboxes")
    .selectAll()
    .where("session_id", "in", [...sessionIds])
    .execute();
  return new Map(rows.map((row) => [row.session_id, toFigures(row)]));
}

/** The latest sandboxes of those sessions that the caller may know of, at most `limit`. */
export async function listSandboxes(
  database: Kysely<Tables>,
  principal: Principal,
  limit = 200,
): Promise<readonly Sandbox[]> {
  const rows = await database
    .selectFrom("sandboxes")
    .innerJoin("sessions", "sessions.id", "sandboxes.session_id")
    .selectAll("sandboxes")
    .where(openTo(principal, "oversee"))
    .orderBy("sandboxes.updated_at", "desc")
    .limit(limit)
    .execute();
  return rows.map((row) => ({ type: "sandbox", session_id: row.session_id, ...toFigures(row) }));
}

function toFigures(row: Selectable<SandboxTable>): SandboxFigures {
  const sorted = [...row.resume_milliseconds].sort((a, b) => a - b);
  return {
    sandbox_id: row.sandbox_id,
    provider: row.provider,
    generation: row.generation,
    state: row.state,
    awake_seconds: Math.round(row.awake_milliseconds) / 1000,
    commands: row.commands,
    replacements: row.replacements,
    resume_ms: { p50: sorted[Math.floor(sorted.length / 2)] ?? null, max: sorted.at(-1) ?? null, n: sorted.length },
    snapshot_at: row.snapshot_at?.toISOString() ?? null,
  };
}
