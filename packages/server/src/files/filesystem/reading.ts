/** Reading stored files for people: listings, contents, searches. @module */
import type { FileMatches, StoredFile } from "@exoloop/protocol/filesystem";
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import type { FileSearch } from "../../http/routes/filesystem.ts";
import type { Principal } from "../../orgs/principal.ts";
import { isWithin, relativePath } from "../path.ts";
import { findEntries, findEntry, listEntries, type ListingQuery, type StoredEntry } from "../postgres/listing.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import { FileError } from "../store.ts";
import { mountsBelow, place, principalMounts } from "./principal-mounts.ts";

export interface FilesystemParts {
  readonly database: Kysely<Tables>;
  readonly files: StoredFiles;
}

export function showEntry(entry: StoredEntry): StoredFile {
  const isFile = entry.kind === "file";
  return {
    type: entry.kind,
    path: entry.path,
    memory_id: entry.memoryId,
    version: isFile ? entry.version : null,
    sha256: entry.sha256,
    size_bytes: entry.size,
    executable: entry.executable,
    updated_at: entry.updatedAt.toISOString(),
    updated_by_user_id: entry.userId,
    updated_by_session_id: entry.sessionId,
    untrusted: entry.untrusted,
  };
}

/** A mount, or a directory that holds mounts. */
function showPlace(path: string): StoredFile {
  return {
    type: "directory",
    path,
    memory_id: null,
    version: null,
    sha256: null,
    size_bytes: 0,
    executable: false,
    updated_at: null,
    updated_by_user_id: null,
    updated_by_session_id: null,
    untrusted: false,
  };
}

export async function statFile(parts: FilesystemParts, principal: Principal, wanted: string): Promise<StoredFile> {
  const mounts = await principalMounts(parts.database, principal);
  const { path, mount } = place(mounts, wanted);
  if (mount === null || path === mount.prefix) return showPlace(path);
  const entry = await findEntry(parts.database, principal.organizationId, mount, path);
  if (entry === null) throw new FileError("not_found", `${path} does not exist.`);
  return showEntry(entry);
}

export async function listDirectory(
  parts: FilesystemParts,
  principal: Principal,
  wanted: string,
  query: ListingQuery,
): Promise<readonly StoredFile[]> {
  const mounts = await principalMounts(parts.database, principal);
  const { path, mount } = place(mounts, wanted);
  if (mount === null) {
    const below = mounts.filter(({ prefix }) => isWithin(path, prefix));
    const names = below.map(({ prefix }) => relativePath(path, prefix).split("/")[0] ?? "");
    const paths = [...new Set(names)].map((name) => `${path === "/" ? "" : path}/${name}`).sort();
    return paths
      .filter((found) => query.after === undefined || found > query.after)
      .slice(0, query.limit)
      .map(showPlace);
  }
  if (path !== mount.prefix) {
    const entry = await findEntry(parts.database, principal.organizationId, mount, path);
    if (entry === null) throw new FileError("not_found", `${path} does not exist.`);
    if (entry.kind === "file") throw new FileError("not_directory", `${path} is a file.`);
  }
  if (query.after !== undefined && !isWithin(path, query.after))
    throw new FileError("invalid_path", "The page does not belong to this directory.");
  const entries = await listEntries(parts.database, principal.organizationId, mount, path, query);
  return entries.map(showEntry);
}

export async function findFiles(
  parts: FilesystemParts,
  principal: Principal,
  wanted: string,
  glob: string,
  maximum: number,
): Promise<readonly StoredFile[]> {
  const { organizationId } = principal;
  const { path, mounts } = mountsBelow(await principalMounts(parts.database, principal), wanted);
  let found: readonly StoredEntry[] = [];
  for (const mount of mounts) {
    const matches = await parts.files.open({ organizationId, sessionId: null }, mount).glob(path, glob, maximum);
    const paths = matches.map((match) => match.path);
    const entries = (await findEntries(parts.database, organizationId, mount, paths)).values();
    // There may be many mounts: of each only what may be shown is kept.
    found = [...found, ...entries].sort(newestFirst).slice(0, maximum);
  }
  return found.map(showEntry);
}

function newestFirst(left: StoredEntry, right: StoredEntry): number {
  return right.updatedAt.getTime() - left.updatedAt.getTime() || (left.path < right.path ? -1 : 1);
}

export async function searchFiles(
  parts: FilesystemParts,
  principal: Principal,
  { path: wanted, maximum, ...search }: FileSearch,
): Promise<FileMatches> {
  const { path, mounts } = mountsBelow(await principalMounts(parts.database, principal), wanted);
  const data: FileMatches["data"] = [];
  let truncated = false;
  for (const mount of mounts) {
    const store = parts.files.open({ organizationId: principal.organizationId, sessionId: null }, mount);
    // One more than wanted tells whether there are more.
    const result = await store.grep({ ...search, path, maximumMatches: maximum + 1 - data.length });
    data.push(...result.lines.map((match) => ({ path: match.path, line: match.line, text: match.text })));
    truncated ||= data.length > maximum;
    if (truncated) break;
  }
  return { data: data.slice(0, maximum), truncated };
}

export async function exportArchive(
  parts: FilesystemParts,
  principal: Principal,
  wanted: string,
): Promise<ReadableStream<Uint8Array>> {
  const { path, mount } = place(await principalMounts(parts.database, principal), wanted);
  if (mount === null)
    throw new FileError("invalid_path", `${path} holds several mounts: export them one by one, such as /memory/org.`);
  const blocks = parts.files.history.exportArchive(principal.organizationId, mount, { path });
  return new ReadableStream({
    async pull(controller) {
      const next = await blocks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: async () => void (await blocks.return(undefined)),
  });
}
