/** Directories of a stored mount, and names as things of their own. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { mountOf, pathInMount, type StoredMount, visiblePath } from "../mounts.ts";
import { isWithin, storedPath } from "../path.ts";
import { type DirectoryOperations, type FileActor, FileError, type FileStatus } from "../store.ts";
import { applyChanges } from "./apply.ts";
import type { FileChange } from "./change.ts";
import { commitFiles } from "./commit.ts";

export function createDirectoryOperations(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
): DirectoryOperations {
  return {
    stat: async (path) =>
      isRoot(mount, path) ? rootOf(path) : statStored(database, organizationId, mount, inside(mount, path)),
    list: async (path, maximum) => listStored(database, organizationId, mount, storedPath(path, mount.prefix), maximum),
    async makeDirectory(path, actor) {
      if (isRoot(mount, path)) return;
      await applyChanges(database, mount, actor, [{ type: "make_directory", path: inside(mount, path) }]);
    },
    async rename(from, to, actor) {
      const change = { type: "move" as const, path: inside(mount, from), to: inside(mount, to) };
      await applyChanges(database, mount, actor, [change], { once: "move_out" });
    },
    removeTree: async (path, actor) => removeTree(database, mount, inside(mount, path), actor),
  };
}

function isRoot(mount: StoredMount, path: string): boolean {
  return path === mount.prefix || (mount.prefix === "" && path === "/");
}

function rootOf(path: string): FileStatus {
  return { path, kind: "directory", size: 0, executable: false, modifiedAt: 0 };
}

/** @throws FileError `path_conflict` for the mount itself, `invalid_path` outside of it */
function inside(mount: StoredMount, path: string): string {
  const stored = storedPath(path, mount.prefix);
  if (isRoot(mount, stored))
    throw new FileError("path_conflict", `${path} is the root of what is stored: it cannot be moved or removed.`);
  if (mountOf([mount], stored) === undefined)
    throw new FileError("invalid_path", `${path} is not below ${mount.prefix}.`);
  return stored;
}

const statusColumns = ["path", "kind", "size_bytes", "executable", "updated_at"] as const;

interface StatusRow {
  readonly path: string;
  readonly kind: "file" | "directory";
  readonly size_bytes: number;
  readonly executable: boolean;
  readonly updated_at: Date;
}

function statusOf(mount: StoredMount, row: StatusRow): FileStatus {
  return {
    path: visiblePath(mount, row.path),
    kind: row.kind,
    size: row.size_bytes,
    executable: row.executable,
    modifiedAt: row.updated_at.getTime(),
  };
}

async function statStored(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  path: string,
): Promise<FileStatus | null> {
  const row = await database
    .selectFrom("file_entries")
    .select(statusColumns)
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("path", "=", pathInMount(mount, path))
    .executeTakeFirst();
  return row === undefined ? null : statusOf(mount, row);
}

/** @throws FileError `not_found`, `not_directory` */
async function listStored(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  path: string,
  maximum: number,
): Promise<readonly FileStatus[]> {
  const above = isRoot(mount, path) ? "" : pathInMount(mount, inside(mount, path));
  const rows = await database
    .selectFrom("file_entries")
    .select(statusColumns)
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("path", ">", `${above}/`)
    // The character after the slash: everything below the directory sorts between the two.
    .where("path", "<", `${above}0`)
    .where(sql<boolean>`position('/' in substr(path, length(${above}::text) + 2)) = 0`)
    .orderBy("path")
    .limit(maximum)
    .execute();
  if (rows.length === 0 && above !== "") await refuseUnlessDirectory(database, organizationId, mount, path);
  return rows.map((row) => statusOf(mount, row));
}

async function refuseUnlessDirectory(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  path: string,
): Promise<void> {
  const found = await statStored(database, organizationId, mount, path);
  if (found === null) throw new FileError("not_found", `${path} does not exist.`);
  if (found.kind === "file") throw new FileError("not_directory", `${path} is a file, not a directory.`);
}

/** @throws FileError `not_found` */
async function removeTree(
  database: Kysely<Tables>,
  mount: StoredMount,
  path: string,
  actor: FileActor,
): Promise<{ readonly files: number }> {
  const { result } = await commitFiles(database, { mount, actor, paths: [path] }, async (view) => {
    const operation = view.recorded.get(path)?.operation;
    if (operation === "delete" || operation === "remove_directory")
      return { changes: [], result: await removedBefore(view.transaction, mount, path, actor) };
    const rows = await view.transaction
      .selectFrom("file_entries")
      .select(["path", "kind"])
      .where("organization_id", "=", actor.organizationId)
      .where("mount", "=", mount.key)
      .where(belowOrAt(pathInMount(mount, path)))
      .execute();
    if (rows.length === 0) throw new FileError("not_found", `${path} does not exist.`);
    const changes = rows.map((row): FileChange => {
      const type = row.kind === "file" ? "delete" : "remove_directory";
      return { type, path: visiblePath(mount, row.path) };
    });
    return { changes, result: rows.filter((row) => row.kind === "file").length };
  });
  return { files: result };
}

/**
 * A condition for a path in the mount and everything below it: one range, which an index can be asked for, and what to
 * leave out of it, such as `/a.md` and `/a-b/c.md` of `/a`.
 */
export function belowOrAt(path: string) {
  return sql<boolean>`(path >= ${path} and path < ${`${path}0`} and (path = ${path} or path > ${`${path}/`}))`;
}

async function removedBefore(database: Kysely<Tables>, mount: StoredMount, path: string, actor: FileActor) {
  const rows = await database
    .selectFrom("file_versions")
    .select("path")
    .where("organization_id", "=", actor.organizationId)
    .where("tool_use_id", "=", actor.toolUseId)
    .where("mount", "=", mount.key)
    .where("operation", "=", "delete")
    .execute();
  return rows.filter((row) => isWithin(path, visiblePath(mount, row.path))).length;
}
