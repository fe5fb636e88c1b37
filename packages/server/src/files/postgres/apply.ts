/**
 * Calling `file_commit` (migration 0019), the one writer of stored files: a whole commit in one round trip, under the
 * mount's lock, all or nothing.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import { CompiledQuery, type Kysely } from "kysely";
import { preparedMark } from "../../db/prepared.ts";
import type { FileOperation } from "../../db/tables/files.ts";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, skillsMount, type StoredMount, visiblePath } from "../mounts.ts";
import { foldPath, storedPathLimits } from "../path.ts";
import { type FileActor, FileError } from "../store.ts";
import { decodeText, sha256Of } from "../text.ts";
import { type FileChange, inOrder, type PutChange } from "./change.ts";
import { explainRefusal, maximumBytes } from "./refusal.ts";
import { settleSkills } from "./skills/settle-skills.ts";

/** How a commit treats what the session and the call know. */
export interface ApplyOptions {
  /** A call that has done this to the (only) path before gets its first result. The operation that would be on record. */
  readonly once?: FileOperation;
  /** The session must know the head that it replaces. */
  readonly seen?: boolean;
  /** `always`: the session knows what it wrote. `follow`: it does if it knew what was there before. */
  readonly known?: "always" | "follow";
  /** The changes are applied as they stand here, not in the order of `inOrder`. */
  readonly inGivenOrder?: boolean;
}

export interface Applied {
  /** Of the mount; the same as before when nothing changed. */
  readonly revision: number;
  /** Of each path that was put, also where its content was there already, and of each file that was moved. */
  readonly versions: ReadonlyMap<string, number>;
  readonly memoryIds: ReadonlyMap<string, string>;
  /** Those of them that had no file before. */
  readonly created: ReadonlySet<string>;
  /** Paths with another version than expected: nothing was changed. */
  readonly stale: readonly string[];
  /** What this call did to the path before: nothing was changed now. */
  readonly recorded: { readonly version: number; readonly operation: FileOperation } | null;
}

interface Answer {
  readonly revision: number;
  readonly paths?: readonly string[];
  readonly versions?: readonly number[];
  readonly memories?: readonly (string | null)[];
  readonly created?: readonly boolean[];
  readonly stale?: readonly string[];
  readonly recorded?: Applied["recorded"];
}

const statement = `${preparedMark} select file_commit($1, $2, $3::jsonb, $4::jsonb, $5::jsonb, $6::bytea) as answer`;

/** Files that one commit writes. */
export const mostPuts = 2_000;
const mostChanges = 40_000;

/**
 * @param database The pool, for a commit by itself, or a transaction that holds the mount's lock.
 * @throws FileError `too_large`, `binary`, `path_conflict`, `is_directory`, `not_directory`, `not_found`, `invalid_path`,
 *   `invalid_skill`
 */
export async function applyChanges(
  database: Kysely<Tables>,
  mount: StoredMount,
  actor: FileActor,
  changes: readonly FileChange[],
  options: ApplyOptions = {},
): Promise<Applied> {
  refuseCrowd(changes);
  if (mount.key !== skillsMount.key) return callCommit(database, mount, actor, changes, options);
  const { organizationId } = actor;
  return inTransaction(database, async (transaction) => {
    const applied = await callCommit(transaction, mount, actor, changes, options);
    await settleSkills(transaction, { organizationId, revision: applied.revision });
    return applied;
  });
}

async function inTransaction<Result>(
  database: Kysely<Tables>,
  work: (transaction: Kysely<Tables>) => Promise<Result>,
): Promise<Result> {
  return database.isTransaction ? work(database) : database.transaction().execute(work);
}

async function callCommit(
  database: Kysely<Tables>,
  mount: StoredMount,
  actor: FileActor,
  changes: readonly FileChange[],
  { inGivenOrder = false, ...options }: ApplyOptions,
): Promise<Applied> {
  const contents: Uint8Array[] = [];
  let offset = 0;
  const encoded = (inGivenOrder ? changes : inOrder(changes)).map((change) => {
    if (change.type !== "put") return encode(mount, change, options);
    const fields = encodePut(mount, change, offset, options);
    contents.push(change.bytes);
    offset += change.bytes.length;
    return fields;
  });
  const [only] = contents;
  const bytes = contents.length === 1 && only !== undefined ? Buffer.from(only) : Buffer.concat(contents);
  const { organizationId } = actor;
  const parameters = [organizationId, mount.key, encodeActor(actor), limitsOf(mount), JSON.stringify(encoded), bytes];
  const { rows } = await database
    .executeQuery<{ answer: Answer }>(CompiledQuery.raw(statement, parameters))
    .catch((error: unknown) => {
      throw explainRefusal(mount, error);
    });
  return decode(mount, rows[0]?.answer);
}

function refuseCrowd(changes: readonly FileChange[]): void {
  const puts = changes.reduce((sum, change) => sum + (change.type === "put" ? 1 : 0), 0);
  if (puts > mostPuts)
    throw new FileError(
      "too_large",
      `More than ${mostPuts} files would be written at once: do it in parts, such as directory by directory.`,
    );
  if (changes.length > mostChanges)
    throw new FileError(
      "too_large",
      `More than ${mostChanges} files would change at once: do it in parts, such as directory by directory.`,
    );
}

function decode(mount: StoredMount, answer: Answer | undefined): Applied {
  if (answer === undefined) throw new Error("file_commit gave no answer");
  const paths = (answer.paths ?? []).map((path) => visiblePath(mount, path));
  return {
    revision: answer.revision,
    versions: new Map(paths.map((path, index) => [path, answer.versions?.[index] ?? 0])),
    memoryIds: new Map(paths.map((path, index) => [path, answer.memories?.[index] ?? ""])),
    created: new Set(paths.filter((_path, index) => answer.created?.[index] === true)),
    stale: (answer.stale ?? []).map((path) => visiblePath(mount, path)),
    recorded: answer.recorded ?? null,
  };
}

function encodeActor(actor: FileActor) {
  return {
    session: actor.sessionId,
    user: actor.userId ?? null,
    call: actor.toolUseId,
    key: actor.apiKeyId ?? null,
    via: actor.via,
    untrusted: actor.untrusted ?? false,
  };
}

/** Limits of a path count from the root of what its viewer sees. */
function limitsOf(mount: StoredMount) {
  return {
    files: mount.maximumFiles,
    bytes: maximumBytes(mount),
    longest: storedPathLimits.bytes,
    deepest: storedPathLimits.segments,
  };
}

function encode(mount: StoredMount, change: FileChange, options: ApplyOptions) {
  const target = pathInMount(mount, change.type === "move" ? change.to : change.path);
  return {
    type: change.type,
    path: pathInMount(mount, change.path),
    folded: foldPath(target),
    id: createId("memoryVersion"),
    ...(change.type === "move" ? { to: target } : {}),
    ...(change.type === "remove_directory" && change.ifEmpty === true ? { ifEmpty: true } : {}),
    ...(change.expectedVersion === undefined ? {} : { expected: change.expectedVersion }),
    ...options,
  };
}

function encodePut(mount: StoredMount, change: PutChange, offset: number, { seen, ...options }: ApplyOptions) {
  const text = decodeText(change.bytes);
  refuseContent(mount, change, text !== null);
  return {
    ...encode(mount, change, seen === true ? { ...options, seen } : options),
    operation: change.operation,
    memory: createId("memory"),
    sha256: sha256Of(change.bytes),
    offset,
    size: change.bytes.length,
    text: text !== null,
    executable: change.executable,
    ...(change.replacements === undefined ? {} : { replacements: change.replacements }),
    ...(change.memoryId === undefined ? {} : { revived: change.memoryId }),
    ...(change.sourceSha256 === undefined ? {} : { source: change.sourceSha256 }),
  };
}

function refuseContent(mount: StoredMount, { path, bytes }: PutChange, isText: boolean): void {
  const maximum = isText ? mount.maximumTextBytes : mount.maximumBinaryBytes;
  if (!isText && maximum === 0) {
    throw new FileError("binary", `${path} is binary, and ${mount.prefix} takes text only. Keep it in /workspace.`);
  }
  if (bytes.length > maximum) {
    throw new FileError(
      "too_large",
      `${path} has ${bytes.length} bytes; ${mount.prefix} takes at most ${maximum} per file.`,
    );
  }
}
