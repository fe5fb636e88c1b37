/** Taking a mount out as an archive, and bringing many files in at once. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { archiveEntries, endOfArchive } from "../../archive.ts";
import type { StoredMount } from "../../mounts.ts";
import { isWithin, resolvePath, storedPath } from "../../path.ts";
import { type FileActor, FileError } from "../../store.ts";
import type { FileChange } from "../change.ts";
import { commitFiles } from "../commit.ts";
import { filesAtRevision, listDirectories, listHeads, readContents } from "../rows.ts";
import { type PointInTime, revisionAt } from "./versions.ts";

/** Files whose contents are in memory at once. */
const batchFiles = 32;

/**
 * A tar archive of a mount, or of what is at or below a path in it, as it is now or was then. Names in it are relative
 * to the mount. What was redacted is left out.
 */
export async function* exportArchive(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  options: { readonly path?: string; readonly at?: PointInTime } = {},
): AsyncGenerator<Uint8Array> {
  const { path = mount.prefix } = options;
  const chosen = (await entriesOf(database, organizationId, mount, options.at)).filter(
    (entry) => path === "" || isWithin(path, entry.path),
  );
  for (let start = 0; start < chosen.length; start += batchFiles) {
    const batch = chosen.slice(start, start + batchFiles);
    const hashes = batch.flatMap((entry) => entry.sha256 ?? []);
    const contents = await readContents(database, organizationId, hashes);
    for (const entry of batch) {
      const bytes = entry.sha256 === null ? new Uint8Array() : contents.get(entry.sha256);
      if (bytes === undefined) continue;
      const stored = entry.path.slice(mount.prefix.length);
      yield* archiveEntries([
        entry.sha256 === null
          ? { type: "directory", path: stored, mode: 0o755 }
          : { type: "file", path: stored, bytes, mode: entry.executable ? 0o755 : 0o644 },
      ]);
    }
  }
  yield endOfArchive();
}

interface Entry {
  readonly path: string;
  /** Null: a directory. */
  readonly sha256: string | null;
  readonly executable: boolean;
}

async function entriesOf(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  at: PointInTime | undefined,
): Promise<readonly Entry[]> {
  if (at !== undefined) {
    const revision = await revisionAt(database, organizationId, mount, at);
    const past = await filesAtRevision(database, organizationId, mount, revision);
    return past.filter((file) => file.kind !== "absent" && !file.redacted);
  }
  const directories = await listDirectories(database, organizationId, mount);
  const files = await listHeads(database, organizationId, mount);
  return [...directories.map(({ path }) => ({ path, sha256: null, executable: false })), ...files];
}

/** A file to bring in; as folder listings and archives have them. */
export interface ImportedFile {
  readonly bytes: Uint8Array;
  /** Relative to the directory that it is brought into. */
  readonly path: string;
  readonly executable?: boolean;
}

export interface ImportRequest {
  readonly mount: StoredMount;
  readonly actor: FileActor;
  /** The mount or a directory in it. */
  readonly directory: string;
  readonly files: readonly ImportedFile[];
  /** Also removes what is in the directory and not among the files. */
  readonly replace?: boolean;
}

/**
 * All files in one commit.
 * @throws FileError naming the file and the rule that it breaks; nothing was stored
 */
export async function importFiles(
  database: Kysely<Tables>,
  { mount, actor, directory, files, replace = false }: ImportRequest,
): Promise<{ readonly revision: number; readonly removed: number }> {
  const wanted = new Map<string, ImportedFile>();
  for (const file of files) {
    const path = importedPath(mount, directory, file.path);
    if (wanted.has(path)) throw new FileError("path_conflict", `The file ${show(file.path)} is there twice.`);
    wanted.set(path, file);
  }
  const { revision, result } = await commitFiles(database, { mount, actor, paths: [] }, async (view) => {
    const stale = replace ? await staleEntries(view.transaction, actor.organizationId, mount, directory, wanted) : [];
    const puts = [...wanted].map(([path, { bytes, executable = false }]): FileChange => {
      return { type: "put", path, bytes, executable, operation: "write" };
    });
    return { changes: [...stale, ...puts], result: stale.filter((change) => change.type === "delete").length };
  });
  return { revision, removed: result };
}

async function staleEntries(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  directory: string,
  wanted: ReadonlyMap<string, ImportedFile>,
): Promise<readonly FileChange[]> {
  const paths = [...wanted.keys()];
  const inside = (path: string) => path !== directory && (directory === "" || isWithin(directory, path));
  const files = (await listHeads(database, organizationId, mount)).filter(
    ({ path }) => inside(path) && !wanted.has(path),
  );
  const directories = (await listDirectories(database, organizationId, mount)).filter(
    ({ path }) => inside(path) && !paths.some((file) => file !== path && isWithin(path, file)),
  );
  return [
    ...files.map(({ path }): FileChange => ({ type: "delete", path })),
    ...directories.map(({ path }): FileChange => ({ type: "remove_directory", path })),
  ];
}

/** @throws FileError `invalid_path` */
function importedPath(mount: StoredMount, directory: string, path: string): string {
  if (path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path))
    throw new FileError(
      "invalid_path",
      `The file ${show(path)} has an absolute path: give it relative to the directory.`,
    );
  if (path.split("/").includes(".."))
    throw new FileError("invalid_path", `The file ${show(path)} has a ".." in its path: nothing may lead upwards.`);
  const root = directory === mount.prefix ? `${mount.prefix}/` : `${directory}/`;
  const resolved = storedPath(resolvePath(path, root), mount.prefix);
  if (!resolved.startsWith(root)) throw new FileError("invalid_path", `The file ${show(path)} has no name.`);
  return resolved;
}

function show(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
