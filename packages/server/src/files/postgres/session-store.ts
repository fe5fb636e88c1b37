/**
 * Stored files as one session works with them. A write of a whole file is a compare-and-swap against the version that
 * this session knows; an edit carries its own precondition, the text that it replaces. Both are idempotent by tool call
 * and path: a call that is carried out again after a crash gets its first result.
 * @module
 */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { mountOf, pathInMount, type StoredMount } from "../mounts.ts";
import { storedPath } from "../path.ts";
import { type FileActor, FileError, type FileStore, type WriteResult } from "../store.ts";
import { replaceText, sha256Of, type TextChange } from "../text.ts";
import { commitFiles, type CommitView } from "./commit.ts";
import { findHeads, readContents, type StoredFile } from "./rows.ts";
import { globStored, grepStored } from "./search.ts";

export interface SessionStoreOwner {
  readonly organizationId: string;
  readonly sessionId: string | null;
}

export function createSessionStore(database: Kysely<Tables>, owner: SessionStoreOwner, mount: StoredMount): FileStore {
  const scope = { organizationId: owner.organizationId, mount };
  const key = (path: string) => keyOf(mount, path);
  return {
    read: async (path) => readStored(database, owner, mount, key(path)),
    write: async (path, bytes, actor, expectedVersion) =>
      writeStored(database, mount, { path: key(path), bytes, actor, expectedVersion }),
    edit: async (path, change, actor) => editStored(database, mount, key(path), change, actor),
    remove: async (path, actor) => removeStored(database, mount, key(path), actor),
    glob: (path, pattern, maximum) => globStored(database, scope, path, pattern, maximum),
    grep: (request) => grepStored(database, scope, request),
  };
}

function keyOf(mount: StoredMount, path: string): string {
  const stored = storedPath(path);
  if (mountOf([mount], stored) !== undefined) return stored;
  throw new FileError("is_directory", `${mount.prefix} is a directory.`);
}

async function readStored(database: Kysely<Tables>, owner: SessionStoreOwner, mount: StoredMount, path: string) {
  const head = (await findHeads(database, owner.organizationId, mount, [path])).get(path);
  if (head === undefined) throw await missing(database, owner.organizationId, mount, path);
  const bytes = (await readContents(database, owner.organizationId, [head.sha256])).get(head.sha256);
  if (bytes === undefined) throw new Error(`the content of ${path} version ${head.version} is missing`);
  if (owner.sessionId !== null) {
    await markKnown(database, { ...owner, sessionId: owner.sessionId }, mount, new Map([[path, head.version]]));
  }
  return { bytes, version: String(head.version) };
}

async function missing(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  path: string,
): Promise<FileError> {
  const directory = await database
    .selectFrom("file_entries")
    .select("kind")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("path", "=", pathInMount(mount, path))
    .executeTakeFirst();
  if (directory !== undefined) return new FileError("is_directory", `${path} is a directory.`);
  return new FileError("not_found", `${path} does not exist.`);
}

/** Versions only grow: a slow request cannot make a session forget a newer one. */
export async function markKnown(
  database: Kysely<Tables>,
  owner: { readonly organizationId: string; readonly sessionId: string },
  mount: StoredMount,
  versions: ReadonlyMap<string, number>,
): Promise<void> {
  if (versions.size === 0) return;
  await database
    .insertInto("file_reads")
    .values(
      [...versions].map(([path, version]) => ({
        session_id: owner.sessionId,
        organization_id: owner.organizationId,
        mount: mount.key,
        path: pathInMount(mount, path),
        version,
      })),
    )
    .onConflict((conflict) =>
      conflict
        .columns(["session_id", "mount", "path"])
        .doUpdateSet((expression) => ({ version: expression.ref("excluded.version") }))
        .whereRef("file_reads.version", "<", "excluded.version"),
    )
    .execute();
}

async function knownVersion(
  view: CommitView,
  mount: StoredMount,
  actor: FileActor,
  path: string,
): Promise<number | null> {
  if (actor.sessionId === null) return null;
  const row = await view.transaction
    .selectFrom("file_reads")
    .select("version")
    .where("session_id", "=", actor.sessionId)
    .where("mount", "=", mount.key)
    .where("path", "=", pathInMount(mount, path))
    .executeTakeFirst();
  return row?.version ?? null;
}

interface WriteRequest {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly actor: FileActor;
  readonly expectedVersion: string | null | undefined;
}

/** `version` is known where the call was carried out before. */
interface WriteOutcome {
  readonly created: boolean;
  readonly version: number | null;
}

async function writeStored(database: Kysely<Tables>, mount: StoredMount, request: WriteRequest): Promise<WriteResult> {
  const { path, bytes, actor } = request;
  const sha256 = sha256Of(bytes);
  const { result, versions } = await commitFiles<WriteOutcome>(
    database,
    { mount, actor, paths: [path] },
    async (view) => {
      const recorded = view.recorded.get(path);
      if (recorded !== undefined && recorded.sha256 === sha256) {
        return { changes: [], result: { created: recorded.operation === "create", version: recorded.version } };
      }
      const head = view.heads.get(path);
      await refuseStaleWrite(view, mount, request, head);
      const change = {
        type: "put" as const,
        path,
        bytes,
        executable: head?.executable ?? false,
        operation: "write" as const,
      };
      return { changes: [change], result: { created: head === undefined, version: null } };
    },
  );
  const version = result.version ?? versions.get(path) ?? null;
  if (version !== null && actor.sessionId !== null) {
    await markKnown(
      database,
      { organizationId: actor.organizationId, sessionId: actor.sessionId },
      mount,
      new Map([[path, version]]),
    );
  }
  return { created: result.created, version: version === null ? null : String(version), bytes: bytes.length };
}

/** @throws FileError `conflict` */
async function refuseStaleWrite(
  view: CommitView,
  mount: StoredMount,
  request: WriteRequest,
  head: StoredFile | undefined,
): Promise<void> {
  const { path, expectedVersion, actor } = request;
  if (expectedVersion === undefined) {
    if (head === undefined || head.sha256 === sha256Of(request.bytes)) return;
    const known = await knownVersion(view, mount, actor, path);
    if (known === head.version) return;
    throw new FileError("conflict", known === null ? unread(head) : changed(head, known));
  }
  const expected = expectedVersion === null ? null : Number(expectedVersion);
  if ((head?.version ?? null) === expected) return;
  if (head === undefined)
    throw new FileError("conflict", `${path} was deleted since version ${expected}. Nothing was written.`);
  throw new FileError(
    "conflict",
    expected === null
      ? `${path} exists already (version ${head.version}). Nothing was written.`
      : changed(head, expected),
  );
}

/** Their first sentences are those that models know. */
function unread(head: StoredFile): string {
  return `File has not been read yet. Read it first before writing to it. ${head.path} is at version ${head.version}${savedBy(head)}; nothing was written.`;
}

function changed(head: StoredFile, known: number): string {
  return `File has been modified since read. Read it again before attempting to write it. You know version ${known} of ${head.path}; it is now version ${head.version}${savedBy(head)}; nothing was written.`;
}

function savedBy(head: StoredFile): string {
  const who = head.sessionId === null ? "" : ` by session ${head.sessionId}`;
  return `, saved${who} at ${head.updatedAt.toISOString()}`;
}

interface EditOutcome {
  readonly version: number | null;
  readonly bytes: number;
  readonly replacements: number;
  /** Version that was edited; null where the call was carried out before. */
  readonly base: number | null;
}

async function editStored(
  database: Kysely<Tables>,
  mount: StoredMount,
  path: string,
  change: TextChange,
  actor: FileActor,
) {
  const { result, versions } = await commitFiles<EditOutcome>(
    database,
    { mount, actor, paths: [path] },
    async (view) => {
      const recorded = view.recorded.get(path);
      if (recorded?.operation === "edit") {
        return {
          changes: [],
          result: { version: recorded.version, bytes: recorded.size, replacements: recorded.replacements, base: null },
        };
      }
      const head = view.heads.get(path);
      if (head === undefined) throw await missing(view.transaction, actor.organizationId, mount, path);
      const before = (await view.contents([head.sha256])).get(head.sha256);
      if (before === undefined) throw new Error(`the content of ${path} version ${head.version} is missing`);
      const { bytes, replacements } = replaceText(path, before, change);
      const put = {
        type: "put" as const,
        path,
        bytes,
        executable: head.executable,
        operation: "edit" as const,
        replacements,
      };
      return { changes: [put], result: { version: null, bytes: bytes.length, replacements, base: head.version } };
    },
  );
  const version = result.version ?? versions.get(path) ?? null;
  if (version !== null && result.base !== null)
    await moveKnown(database, actor.sessionId, mount, path, result.base, version);
  return {
    created: false,
    version: version === null ? null : String(version),
    bytes: result.bytes,
    replacements: result.replacements,
  };
}

/** An edit shows no new text to the session: it knows the result only if it knew what was edited. */
export async function moveKnown(
  database: Kysely<Tables>,
  sessionId: string | null,
  mount: StoredMount,
  path: string,
  base: number,
  version: number,
): Promise<void> {
  if (sessionId === null) return;
  await database
    .updateTable("file_reads")
    .set({ version })
    .where("session_id", "=", sessionId)
    .where("mount", "=", mount.key)
    .where("path", "=", pathInMount(mount, path))
    .where("version", "=", base)
    .execute();
}

async function removeStored(
  database: Kysely<Tables>,
  mount: StoredMount,
  path: string,
  actor: FileActor,
): Promise<void> {
  await commitFiles(database, { mount, actor, paths: [path] }, async (view) => {
    if (view.recorded.get(path)?.operation === "delete") return { changes: [], result: null };
    if (!view.heads.has(path)) throw await missing(view.transaction, actor.organizationId, mount, path);
    return { changes: [{ type: "delete" as const, path }], result: null };
  });
}
