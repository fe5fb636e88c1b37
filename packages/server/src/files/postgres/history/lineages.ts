/** Reading what an undo needs: the whole history of each file and directory that the session changed. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { type StoredMount, visiblePath } from "../../mounts.ts";
import { decodeText } from "../../text.ts";
import { kindAfter, readContents } from "../rows.ts";
import { refuseTooMuch } from "./held-contents.ts";
import { type FileState, type LineageStep, type TextOf } from "./lineage.ts";

export interface LoadedLineages {
  readonly files: readonly {
    /** Null for what was deleted before files had identifiers. */
    readonly memoryId: string | null;
    readonly steps: readonly LineageStep[];
    readonly head: FileState;
    /** Where it is, or was last. */
    readonly path: string;
  }[];
  /** Directories whose existence the session changed: what was there before, and what it left. */
  readonly directories: readonly {
    readonly path: string;
    readonly before: boolean;
    readonly now: boolean;
  }[];
  readonly textOf: TextOf;
  readonly bytesOf: (sha256: string) => Uint8Array | undefined;
}

interface LineageRequest {
  readonly mount: StoredMount;
  readonly actor: { readonly organizationId: string };
  readonly sessionId: string;
  readonly threads?: readonly string[];
  readonly toolUseId?: string;
}

const undoneSessions = ({ sessionId, threads = [] }: LineageRequest) => [sessionId, ...threads];

type VersionRow = Awaited<ReturnType<typeof readRows>>[number];

/** What the session changed, and all that happened to the same files and paths. */
function readRows(database: Kysely<Tables>, request: LineageRequest) {
  const { mount, actor, toolUseId } = request;
  const call = toolUseId === undefined ? sql`` : sql`and tool_use_id = ${toolUseId}`;
  const own = (column: "memory_id" | "path", files: boolean) => sql`(
    select ${sql.ref(column)} from file_versions where organization_id = ${actor.organizationId}
      and mount = ${mount.key} and session_id = any(${undoneSessions(request)}::text[]) and via <> 'undo' ${call}
      and memory_id is ${sql.raw(files ? "not null" : "null")})`;
  return database
    .selectFrom("file_versions")
    .select(["path", "version", "operation", "sha256", "executable", "memory_id", "session_id", "tool_use_id", "via"])
    .select(["size_bytes", "redacted_at"])
    .where("organization_id", "=", actor.organizationId)
    .where("mount", "=", mount.key)
    .where(
      sql<boolean>`(memory_id in ${own("memory_id", true)} or (memory_id is null and path in ${own("path", false)}))`,
    )
    .orderBy("revision")
    .orderBy("ordinal")
    .execute();
}

export async function loadLineages(database: Kysely<Tables>, request: LineageRequest): Promise<LoadedLineages> {
  const { mount, actor } = request;
  const rows = await readRows(database, request);
  const [groups, directories] = [new Map<string, VersionRow[]>(), new Map<string, VersionRow[]>()];
  for (const row of rows) {
    const isDirectory = row.memory_id === null && isAboutDirectory(row);
    const group = isDirectory ? directories : groups;
    const key = isDirectory ? row.path : (row.memory_id ?? `path ${row.path}`);
    const known = group.get(key);
    if (known === undefined) group.set(key, [row]);
    else known.push(row);
  }
  const files = [...groups.values()].map((group) => fileOf(request, group));
  const contents = await readContents(database, actor.organizationId, needed(files, rows));
  return {
    files,
    directories: [...directories].flatMap(([path, group]) => directoryOf(request, visiblePath(mount, path), group)),
    bytesOf: (sha256) => contents.get(sha256),
    textOf: (sha256) => {
      const bytes = contents.get(sha256);
      return bytes === undefined ? null : decodeText(bytes);
    },
  };
}

/**
 * Contents at both ends of each run of the session's changes, and those of the heads; without what was redacted, which
 * another file may hold still.
 * @throws FileError `too_large`
 */
function needed(files: LoadedLineages["files"], rows: readonly VersionRow[]): readonly string[] {
  const wanted = new Set<string>();
  for (const { steps, head } of files) {
    if (head !== null) wanted.add(head.sha256);
    for (const [index, { undone, state }] of steps.entries()) {
      const previous = steps[index - 1];
      const begins = undone !== (previous?.undone ?? false);
      if (begins && previous?.state) wanted.add(previous.state.sha256);
      if (undone && steps[index + 1]?.undone !== true && state !== null) wanted.add(state.sha256);
    }
  }
  const kept = new Map<string, number>();
  for (const { sha256, size_bytes: size, redacted_at: redactedAt } of rows)
    if (sha256 !== null && redactedAt === null && wanted.has(sha256)) kept.set(sha256, size);
  refuseTooMuch(kept, "undo the session's calls one by one, the last one first.");
  return [...kept.keys()];
}

function isAboutDirectory(row: VersionRow): boolean {
  if (row.operation === "make_directory" || row.operation === "remove_directory") return true;
  return (row.operation === "move_in" || row.operation === "move_out") && row.memory_id === null;
}

function isUndone(request: LineageRequest, row: VersionRow): boolean {
  const { toolUseId } = request;
  if (row.session_id === null || !undoneSessions(request).includes(row.session_id)) return false;
  return row.via !== "undo" && (toolUseId === undefined || row.tool_use_id === toolUseId);
}

function fileOf(request: LineageRequest, rows: readonly VersionRow[]): LoadedLineages["files"][number] {
  const steps = rows.flatMap((row): LineageStep[] => {
    // The other end of the move follows and says where it went.
    if (row.operation === "move_out") return [];
    const { sha256, executable } = row;
    const state = sha256 === null ? null : { path: visiblePath(request.mount, row.path), sha256, executable };
    return [{ state, undone: isUndone(request, row) }];
  });
  const last = rows.at(-1);
  return {
    memoryId: last?.memory_id ?? null,
    steps,
    head: steps.at(-1)?.state ?? null,
    path: visiblePath(request.mount, last?.path ?? ""),
  };
}

function directoryOf(
  request: LineageRequest,
  path: string,
  rows: readonly VersionRow[],
): LoadedLineages["directories"] {
  const first = rows.findIndex((row) => isUndone(request, row));
  const [earlier, last] = [rows[first - 1], rows.at(-1)];
  if (first < 0 || last === undefined) return [];
  const before = earlier !== undefined && kindAfter(earlier.operation, earlier) === "directory";
  const now = kindAfter(last.operation, last) === "directory";
  return [{ path, before, now }];
}
