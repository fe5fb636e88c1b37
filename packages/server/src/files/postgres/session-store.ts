/**
 * Stored files as one session works with them. A write of a whole file is a compare-and-swap against the version that
 * this session knows; an edit carries its own precondition, the text that it replaces. Both are idempotent by tool call
 * and path: a call that is carried out again after a crash gets its first result.
 * @module
 */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { mountOf, type StoredMount } from "../mounts.ts";
import { storedPath } from "../path.ts";
import { type DirectoryOperations, type FileActor, FileError, type FileStore, type WriteResult } from "../store.ts";
import { replaceText, type TextChange } from "../text.ts";
import { applyChanges } from "./apply.ts";
import { commitFiles, type CommitDecision } from "./commit.ts";
import { createDirectoryOperations } from "./directories.ts";
import { inTurn } from "./in-turn.ts";
import { knownVersion } from "./known.ts";
import { type EditedBefore, lookForEdit, readFile, type SeenFile } from "./look.ts";
import { findHeads, type StoredFile } from "./rows.ts";
import { globStored, grepStored } from "./search.ts";

export interface SessionStoreOwner {
  readonly organizationId: string;
  readonly sessionId: string | null;
}

export function createSessionStore(
  database: Kysely<Tables>,
  owner: SessionStoreOwner,
  mount: StoredMount,
): FileStore & DirectoryOperations {
  const { organizationId } = owner;
  const scope = { organizationId, mount };
  const key = (path: string) => keyOf(mount, path);
  return {
    async read(path) {
      const { bytes, version } = await readFile(database, { ...scope, path: key(path) }, owner.sessionId);
      return { bytes, version: String(version) };
    },
    write: async (path, bytes, actor, expectedVersion) =>
      writeStored(database, mount, { path: key(path), bytes, actor, expectedVersion }),
    async edit(path, change, actor) {
      const stored = key(path);
      // Side by side they would only make each other look again.
      const name = `${organizationId} ${mount.key} ${stored}`;
      return inTurn(name, () => editStored(database, mount, stored, change, actor));
    },
    async remove(path, actor) {
      const change = { type: "delete" as const, path: key(path) };
      await applyChanges(database, mount, actor, [change], { once: "delete" });
    },
    glob: (path, pattern, maximum) => globStored(database, scope, path, pattern, maximum),
    grep: (request) => grepStored(database, scope, request),
    ...createDirectoryOperations(database, organizationId, mount),
  };
}

/** @throws FileError `is_directory` for the mount itself, `invalid_path` */
function keyOf(mount: StoredMount, path: string): string {
  const stored = storedPath(path, mount.prefix);
  if (mountOf([mount], stored) !== undefined && stored !== "/") return stored;
  throw new FileError("is_directory", `${path} is a directory.`);
}

interface WriteRequest {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly actor: FileActor;
  readonly expectedVersion: string | null | undefined;
}

/** One round trip: what is there is compared where it is. */
async function writeStored(database: Kysely<Tables>, mount: StoredMount, request: WriteRequest): Promise<WriteResult> {
  const { path, bytes, actor, expectedVersion } = request;
  const expected = expectedVersion === undefined ? {} : { expectedVersion: versionOf(expectedVersion) };
  const change = { type: "put" as const, path, bytes, executable: null, operation: "write" as const, ...expected };
  const applied = await applyChanges(database, mount, actor, [change], {
    once: "write",
    known: "always",
    ...(expectedVersion === undefined ? { seen: true } : {}),
  });
  if (applied.stale.length > 0) throw await staleWrite(database, mount, request);
  const { recorded } = applied;
  const version = recorded?.version ?? applied.versions.get(path) ?? 0;
  const created = recorded === null ? applied.created.has(path) : recorded.operation === "create";
  return { created, version: String(version), bytes: bytes.length };
}

/** Versions are small numbers: any other text is the version of nothing. */
function versionOf(text: string | null): number | null {
  if (text === null) return null;
  return /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : -1;
}

/** Why a write was refused, from what is there now. */
async function staleWrite(
  database: Kysely<Tables>,
  mount: StoredMount,
  { path, expectedVersion, actor }: WriteRequest,
): Promise<FileError> {
  const head = (await findHeads(database, actor.organizationId, mount, [path])).get(path);
  if (head === undefined) {
    return expectedVersion === undefined || expectedVersion === null
      ? new FileError("conflict", `${path} was changed at the same time. Nothing was written. Read it again.`)
      : new FileError("conflict", `${path} was deleted since version ${expectedVersion}. Nothing was written.`);
  }
  if (expectedVersion === null)
    return new FileError("conflict", `${path} exists already (version ${head.version}). Nothing was written.`);
  const known = expectedVersion ?? (await knownVersion(database, actor.sessionId, mount, path));
  return new FileError("conflict", known === null ? unread(head) : changed(head, known));
}

/** Their first sentences are those that models know. */
function unread(head: StoredFile): string {
  return `File has not been read yet. Read it first before writing to it. ${head.path} is at version ${head.version}${savedBy(head)}; nothing was written.`;
}

function changed(head: StoredFile, known: number | string): string {
  return `File has been modified since read. Read it again before attempting to write it. You know version ${known} of ${head.path}; it is now version ${head.version}${savedBy(head)}; nothing was written.`;
}

function savedBy(head: StoredFile): string {
  const who = head.sessionId === null ? "" : ` by session ${head.sessionId}`;
  return `, saved${who} at ${head.updatedAt.toISOString()}`;
}

interface EditResult extends WriteResult {
  readonly replacements: number;
}

/**
 * Looks, decides, and has the result applied if the version is still the same: two round trips. Where somebody was
 * faster, the second attempt looks under the mount's lock, where nobody can be: however many edit one file, each waits
 * its turn once.
 */
async function editStored(
  database: Kysely<Tables>,
  mount: StoredMount,
  path: string,
  change: TextChange,
  actor: FileActor,
): Promise<EditResult> {
  const location = { organizationId: actor.organizationId, mount, path };
  const first = decideEdit(path, await lookForEdit(database, location, actor.toolUseId), change);
  if ("result" in first) return first.result;
  const applied = await applyChanges(database, mount, actor, [first.put], { known: "follow" });
  if (applied.stale.length === 0) return { ...first.edited, version: String(applied.versions.get(path)) };
  const { result, versions } = await commitFiles<EditResult>(database, { mount, actor, paths: [] }, async (view) => {
    const outcome = decideEdit(path, await lookForEdit(view.transaction, location, actor.toolUseId), change);
    const decision: CommitDecision<EditResult> =
      "result" in outcome
        ? { changes: [], result: outcome.result }
        : { changes: [outcome.put], result: outcome.edited, options: { known: "follow" } };
    return decision;
  });
  return { ...result, version: result.version ?? String(versions.get(path)) };
}

function decideEdit(path: string, found: SeenFile | EditedBefore, change: TextChange) {
  if ("operation" in found) {
    const { version, size, replacements } = found;
    return { result: { created: false, version: String(version), bytes: size, replacements } };
  }
  const { bytes, replacements } = replaceText(path, found.bytes, change);
  const put = {
    type: "put" as const,
    path,
    bytes,
    executable: found.executable,
    operation: "edit" as const,
    replacements,
    expectedVersion: found.version,
  };
  return { put, edited: { created: false, version: null, bytes: bytes.length, replacements } };
}
