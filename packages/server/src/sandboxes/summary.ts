/** Figures about a session's sandbox, for the API. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";

export interface SandboxSummary {
  readonly sandbox_id: string | null;
  readonly provider: string;
  readonly generation: number;
  readonly awake_seconds: number;
  readonly commands: number;
  readonly replacements: number;
  /** Milliseconds over the last 1,000 resumes. */
  readonly resume_ms: { readonly p50: number | null; readonly max: number | null; readonly n: number };
  readonly snapshot_at: string | null;
}

/** Null for a session that has used no sandbox. */
export async function readSandboxSummary(
  database: Kysely<Tables>,
  organizationId: string,
  sessionId: string,
): Promise<SandboxSummary | null> {
  const row = await database
    .selectFrom("sandboxes")
    .selectAll()
    .where("session_id", "=", sessionId)
    .where("organization_id", "=", organizationId)
    .executeTakeFirst();
  if (row === undefined) return null;
  const sorted = [...row.resume_milliseconds].sort((a, b) => a - b);
  return {
    sandbox_id: row.sandbox_id,
    provider: row.provider,
    generation: row.generation,
    awake_seconds: Math.round(row.awake_milliseconds) / 1000,
    commands: row.commands,
    replacements: row.replacements,
    resume_ms: { p50: sorted[Math.floor(sorted.length / 2)] ?? null, max: sorted.at(-1) ?? null, n: sorted.length },
    snapshot_at: row.snapshot_at?.toISOString() ?? null,
  };
}
