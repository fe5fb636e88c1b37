/** The history of stored files for people: versions, differences, restoring, undoing, conflicts. @module */
import type {
  FileConflict as ShownConflict,
  FileDifference,
  FileRestoration,
  FileVersion as ShownVersion,
  RestoreFilesRequest,
  StoredFile,
  UndoFilesRequest,
  VouchForFileRequest,
} from "@exoloop/protocol/filesystem";
import type { FileHistoryPort, Found, HistoryPage, HistoryQuery } from "../../http/routes/file-history.ts";
import type { Principal } from "../../orgs/principal.ts";
import type { StoredMount } from "../mounts.ts";
import type { FileConflict } from "../postgres/history/kept-texts.ts";
import type { FileVersion, PointInTime } from "../postgres/history/versions.ts";
import { findEntry } from "../postgres/listing.ts";
import { findVersionId, mountOfConflict, mountOfVersion } from "../postgres/past.ts";
import { type FileActor, FileError } from "../store.ts";
import { withProblems } from "./file-problem.ts";
import { mountsBelow, place, placeInMount, principalMounts } from "./principal-mounts.ts";
import { type FilesystemParts, showEntry } from "./reading.ts";

export function createFileHistoryService(parts: FilesystemParts): FileHistoryPort {
  return {
    history: (...call) => withProblems(() => listHistory(parts, ...call)),
    difference: (...call) => withProblems(() => compare(parts, ...call)),
    restore: (...call) => withProblems(() => restore(parts, ...call)),
    undo: (...call) => withProblems(() => undo(parts, ...call)),
    vouch: (...call) => withProblems(() => vouch(parts, ...call)),
    redact: (...call) => withProblems(() => redact(parts, ...call)),
    conflicts: (...call) => withProblems(() => listConflicts(parts, ...call)),
    conflictContent: (...call) => withProblems(() => conflictContent(parts, ...call)),
    resolveConflict: (...call) => withProblems(() => resolve(parts, ...call)),
  };
}

function actorOf(principal: Principal): FileActor {
  const { organizationId, userId = null } = principal;
  return { organizationId, sessionId: null, toolUseId: null, via: "api", userId };
}

function showVersion(version: FileVersion): ShownVersion {
  const { id, path, operation, revision, sha256, executable, untrusted } = version;
  return {
    id,
    type: "file_version",
    memory_id: version.memoryId,
    path,
    other_path: version.otherPath,
    operation,
    version: version.version,
    base_version: version.baseVersion,
    revision,
    sha256,
    size_bytes: version.size,
    executable,
    created_at: version.createdAt.toISOString(),
    author: {
      user_id: version.userId,
      session_id: version.sessionId,
      tool_use_id: version.toolUseId,
      via: version.via,
    },
    untrusted,
    redacted_at: version.redactedAt?.toISOString() ?? null,
  };
}

function showConflict(conflict: FileConflict): ShownConflict {
  const { id, path, sha256 } = conflict;
  return {
    id,
    type: "file_conflict",
    path,
    base_version: conflict.baseVersion,
    head_version: conflict.headVersion,
    sha256,
    user_id: conflict.userId,
    session_id: conflict.sessionId,
    tool_use_id: conflict.toolUseId,
    created_at: conflict.createdAt.toISOString(),
    resolved_at: conflict.resolvedAt?.toISOString() ?? null,
  };
}

interface MountPage<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

/** Fills a page from one mount after the other. */
async function overMounts<Item>(
  mounts: readonly StoredMount[],
  { limit, after }: HistoryPage,
  read: (mount: StoredMount, page: { readonly limit: number; readonly cursor?: string }) => Promise<MountPage<Item>>,
): Promise<Found<Item>> {
  const data: Item[] = [];
  const first = after === undefined ? 0 : mounts.findIndex(({ key }) => key === after.mount);
  // A mount that the caller sees no more: the rest of its list is not shown.
  if (first === -1) return { data, next: null };
  let cursor = after?.cursor ?? null;
  for (const [index, mount] of mounts.entries()) {
    if (index < first) continue;
    const page = await read(mount, { limit: limit - data.length, ...(cursor === null ? {} : { cursor }) });
    data.push(...page.items);
    if (page.next !== null) return { data, next: { mount: mount.key, cursor: page.next } };
    cursor = null;
    const following = mounts[index + 1];
    if (data.length >= limit) return { data, next: following === undefined ? null : { mount: following.key, cursor } };
  }
  return { data, next: null };
}

async function listHistory(
  { database, files }: FilesystemParts,
  principal: Principal,
  { path: wanted = "/", sessionId, toolUseId }: HistoryQuery,
  page: HistoryPage,
): Promise<Found<ShownVersion>> {
  const { path, mounts } = mountsBelow(await principalMounts(database, principal), wanted);
  return overMounts(mounts, page, async (mount, mountPage) => {
    const filter = {
      ...(path.startsWith(`${mount.prefix}/`) ? { below: path } : {}),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(toolUseId === undefined ? {} : { toolUseId }),
    };
    const { versions, next } = await files.history.list(principal.organizationId, mount, filter, mountPage);
    return { items: versions.map(showVersion), next };
  });
}

async function compare(
  { database, files }: FilesystemParts,
  principal: Principal,
  wanted: string,
  { from, to }: { readonly from?: number; readonly to?: number },
): Promise<FileDifference> {
  const { organizationId } = principal;
  const { path, mount } = placeInMount(await principalMounts(database, principal), wanted);
  const idOf = async (version: number | undefined) => {
    const found = await findVersionId(database, organizationId, mount, path, version);
    if (found !== null) return found;
    const what = version === undefined ? "was never there" : `has no version ${version}`;
    throw new FileError("not_found", `${path} ${what}.`);
  };
  const right = await idOf(to);
  const earlier = from ?? right.version - 1;
  const left = earlier <= 0 ? null : await idOf(earlier);
  const diff = await files.history.diffVersions(organizationId, mount, left?.id ?? null, right.id);
  return { type: "file_difference", path, from_version: left?.version ?? null, to_version: right.version, diff };
}

function writableOf(mount: StoredMount): StoredMount {
  if (mount.access === "read_write") return mount;
  throw new FileError("read_only", `${mount.prefix} is read-only for this key, so nothing was changed.`);
}

async function restore(
  { database, files }: FilesystemParts,
  principal: Principal,
  { path: wanted, version, revision, at, dry_run: dryRun = false }: RestoreFilesRequest,
): Promise<FileRestoration> {
  const { organizationId } = principal;
  const placed = place(await principalMounts(database, principal), wanted);
  if (placed.mount === null)
    throw new FileError("invalid_path", `${placed.path} holds several mounts: restore them one by one.`);
  const [mount, { path }] = [writableOf(placed.mount), placed];
  const found = version === undefined ? null : await findVersionId(database, organizationId, mount, path, version);
  if (version !== undefined && found === null) throw new FileError("not_found", `${path} has no version ${version}.`);
  const point: PointInTime = revision === undefined ? { instant: new Date(at ?? 0) } : { revision };
  const to = found === null ? point : { versionId: found.id };
  const { changes } = await files.history.restore({ mount, actor: actorOf(principal), path, to, dryRun });
  const restored = changes.map((change) => ({ path: change.path, outcome: change.change, reason: null }));
  return { type: "file_restoration", dry_run: dryRun, files: restored };
}

/** In every mount that the caller may change; each is one commit. */
async function undo(
  { database, files }: FilesystemParts,
  principal: Principal,
  { session_id: sessionId, tool_use_id: toolUseId, dry_run: dryRun = false }: UndoFilesRequest,
): Promise<FileRestoration> {
  const changed = await files.history.mountsChangedBy(principal.organizationId, sessionId);
  const mounts = (await principalMounts(database, principal)).filter(({ key }) => changed.includes(key));
  if (mounts.length === 0)
    throw new FileError(
      "not_found",
      `The session ${JSON.stringify(sessionId.slice(0, 80))} has changed no file that this key sees.`,
    );
  const undone: FileRestoration["files"] = [];
  for (const mount of mounts.map(writableOf)) {
    const call = toolUseId === undefined ? {} : { toolUseId };
    const { changes, kept } = await files.history.undo({
      mount,
      actor: actorOf(principal),
      sessionId,
      ...call,
      dryRun,
    });
    undone.push(...changes.map((change) => ({ path: change.path, outcome: change.change, reason: null })));
    undone.push(...kept.map(({ path, reason }) => ({ path, outcome: "kept" as const, reason })));
  }
  return { type: "file_restoration", dry_run: dryRun, files: undone };
}

/** A worker serves a session: it cannot vouch for what sessions write. */
async function vouch(
  { database, files }: FilesystemParts,
  principal: Principal,
  { path: wanted, version }: VouchForFileRequest,
): Promise<StoredFile> {
  const placed = placeInMount(await principalMounts(database, principal), wanted);
  const [{ path }, mount] = [placed, writableOf(placed.mount)];
  if (principal.session !== undefined) throw new FileError("no_permission", `A worker cannot vouch for ${path}.`);
  await files.vouch({ mount, path, version, by: actorOf(principal) });
  const entry = await findEntry(database, principal.organizationId, mount, path);
  if (entry === null) throw new FileError("not_found", `${path} does not exist.`);
  return showEntry(entry);
}

async function redact(
  { database, files }: FilesystemParts,
  principal: Principal,
  versionId: string,
): Promise<ShownVersion> {
  const { organizationId, apiKeyId, userId = null } = principal;
  const mounts = await principalMounts(database, principal);
  const mount = await mountOfVersion(database, organizationId, mounts, versionId);
  if (mount === null)
    throw new FileError("not_found", `There is no version ${JSON.stringify(versionId.slice(0, 80))}.`);
  const by = { api_key_id: apiKeyId, user_id: userId };
  return showVersion(await files.history.redact({ organizationId, mount: writableOf(mount), versionId, by }));
}

async function listConflicts(
  { database, files }: FilesystemParts,
  principal: Principal,
  query: { readonly resolved: boolean },
  page: HistoryPage,
): Promise<Found<ShownConflict>> {
  return overMounts(await principalMounts(database, principal), page, async (mount, mountPage) => {
    const found = await files.history.conflicts(principal.organizationId, mount, query, mountPage);
    return { items: found.conflicts.map(showConflict), next: found.next };
  });
}

async function conflictMount({ database }: FilesystemParts, principal: Principal, id: string): Promise<StoredMount> {
  const mounts = await principalMounts(database, principal);
  const mount = await mountOfConflict(database, principal.organizationId, mounts, id);
  if (mount !== null) return mount;
  throw new FileError("not_found", `There is no conflict ${JSON.stringify(id.slice(0, 40))}.`);
}

async function conflictContent(parts: FilesystemParts, principal: Principal, id: string): Promise<Uint8Array> {
  const mount = await conflictMount(parts, principal, id);
  const { bytes } = await parts.files.history.readConflict(principal.organizationId, mount, id);
  if (bytes === null) throw new FileError("not_found", `The text of the conflict ${id} was redacted.`);
  return bytes;
}

async function resolve(
  parts: FilesystemParts,
  principal: Principal,
  id: string,
  keep: "head" | "kept",
): Promise<ShownConflict> {
  const mount = writableOf(await conflictMount(parts, principal, id));
  await parts.files.history.resolveConflict(mount, id, keep, actorOf(principal));
  const { conflict } = await parts.files.history.readConflict(principal.organizationId, mount, id);
  return showConflict(conflict);
}
