/** What lost a race and was kept: looked at, taken over after all, or let go. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../../mounts.ts";
import { type FileActor, FileError } from "../../store.ts";
import { applyChanges } from "../apply.ts";
import { readContents } from "../rows.ts";
import { withLockedMount } from "./locked.ts";

export interface FileConflict {
  readonly id: string;
  readonly path: string;
  /** That the losing text was made from, and the one that stood in its way; null: none. */
  readonly baseVersion: number | null;
  readonly headVersion: number | null;
  readonly sha256: string;
  readonly sessionId: string | null;
  readonly userId: string | null;
  readonly toolUseId: string | null;
  readonly createdAt: Date;
  readonly resolvedAt: Date | null;
}

export interface ConflictFilter {
  readonly path?: string;
  readonly sessionId?: string;
  /** Absent: both. */
  readonly resolved?: boolean;
}

function select(database: Kysely<Tables>, organizationId: string, mount: StoredMount) {
  return database
    .selectFrom("file_conflicts")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key);
}

type ConflictRow = Awaited<ReturnType<ReturnType<typeof select>["execute"]>>[number];

function conflictOf(mount: StoredMount, row: ConflictRow): FileConflict {
  return {
    id: String(row.id),
    path: visiblePath(mount, row.path),
    baseVersion: row.base_version,
    headVersion: row.head_version,
    sha256: row.sha256,
    sessionId: row.session_id,
    userId: row.user_id,
    toolUseId: row.tool_use_id,
    createdAt: row.created_at,
    resolvedAt: row.resolved_at,
  };
}

/** Newest first. `cursor` is the `id` of the last one of the page before. */
export async function listConflicts(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  filter: ConflictFilter,
  page: { readonly limit: number; readonly cursor?: string },
): Promise<{ readonly conflicts: readonly FileConflict[]; readonly next: string | null }> {
  const most = Math.max(1, Math.min(1_000, page.limit));
  let query = select(database, organizationId, mount);
  if (filter.path !== undefined) query = query.where("path", "=", pathInMount(mount, filter.path));
  if (filter.sessionId !== undefined) query = query.where("session_id", "=", filter.sessionId);
  if (filter.resolved !== undefined) query = query.where("resolved_at", filter.resolved ? "is not" : "is", null);
  if (page.cursor !== undefined) query = query.where("id", "<", numberOf(page.cursor));
  const rows = await query
    .orderBy("id", "desc")
    .limit(most + 1)
    .execute();
  const conflicts = rows.slice(0, most).map((row) => conflictOf(mount, row));
  return { conflicts, next: rows.length > most ? (conflicts.at(-1)?.id ?? null) : null };
}

/** @throws FileError `not_found` */
export async function readConflict(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  id: string,
): Promise<{ readonly conflict: FileConflict; readonly bytes: Uint8Array | null }> {
  const row = await select(database, organizationId, mount).where("id", "=", numberOf(id)).executeTakeFirst();
  if (row === undefined) throw new FileError("not_found", `There is no conflict ${JSON.stringify(id.slice(0, 40))}.`);
  const bytes = (await readContents(database, organizationId, [row.sha256])).get(row.sha256);
  return { conflict: conflictOf(mount, row), bytes: bytes ?? null };
}

/**
 * @param keep `head`: what is there stays. `kept`: the text that lost becomes a new version.
 * @throws FileError `not_found`, `conflict` where it was resolved before; those of a commit
 */
export async function resolveConflict(
  database: Kysely<Tables>,
  mount: StoredMount,
  id: string,
  keep: "head" | "kept",
  actor: FileActor,
): Promise<{ readonly revision: number }> {
  const { organizationId } = actor;
  return withLockedMount(database, organizationId, mount, { dryRun: false }, async (transaction, revision) => {
    const { conflict, bytes } = await readConflict(transaction, organizationId, mount, id);
    if (conflict.resolvedAt !== null)
      throw new FileError("conflict", `The conflict ${id} at ${conflict.path} has been resolved already.`);
    await sql`update file_conflicts set resolved_at = now() where id = ${numberOf(id)}`.execute(transaction);
    if (keep === "head") return { revision };
    if (bytes === null) throw new FileError("failed", `The text that was kept for ${conflict.path} has been redacted.`);
    const put = { type: "put" as const, path: conflict.path, bytes, executable: null, operation: "write" as const };
    const author = { ...actor, untrusted: await isUntrusted(transaction, conflict) };
    return { revision: (await applyChanges(transaction, mount, author, [put])).revision };
  });
}

/** Whoever takes a text over has not written it: it is marked as its session's other texts are. */
async function isUntrusted(database: Kysely<Tables>, { sessionId }: FileConflict): Promise<boolean> {
  if (sessionId === null) return false;
  const session = await database
    .selectFrom("sessions")
    .select("untrusted")
    .where("id", "=", sessionId)
    .executeTakeFirst();
  return session?.untrusted ?? true;
}

function numberOf(id: string): number {
  return /^\d{1,15}$/.test(id) ? Number(id) : -1;
}
