/**
 * Directories exist as rows for as long as a file lies below them, so that the database itself refuses a file where a
 * directory is, and two names that differ only in case.
 * @module
 */
import type { Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";
import { ancestorsBelow, foldPath } from "../path.ts";
import { FileError } from "../store.ts";

export interface DirectoryLocation {
  readonly organizationId: string;
  readonly mount: StoredMount;
  readonly revision: number;
}

/** @throws FileError `path_conflict`, `is_directory` */
export async function ensureDirectories(
  transaction: Transaction<Tables>,
  { organizationId, mount, revision }: DirectoryLocation,
  files: readonly string[],
): Promise<void> {
  if (files.length === 0) return;
  const directories = new Set(files.flatMap((path) => ancestorsBelow(mount.prefix, path)));
  const wanted = new Map<string, { readonly path: string; readonly kind: "file" | "directory" }>();
  for (const path of directories) claim(wanted, path, "directory");
  for (const path of files) claim(wanted, path, "file");
  const present = await transaction
    .selectFrom("file_entries")
    .select(["path", "kind"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where(
      "folded_path",
      "in",
      [...wanted.values()].map(({ path }) => foldPath(pathInMount(mount, path))),
    )
    .execute();
  for (const { kind, ...row } of present) {
    const entry = { path: visiblePath(mount, row.path), kind };
    const claimed = wanted.get(foldPath(entry.path));
    if (claimed !== undefined) refuseOverlap(claimed, entry);
    directories.delete(entry.path);
  }
  if (directories.size === 0) return;
  await transaction
    .insertInto("file_entries")
    .values(
      [...directories].map((path) => ({
        organization_id: organizationId,
        mount: mount.key,
        path: pathInMount(mount, path),
        folded_path: foldPath(pathInMount(mount, path)),
        kind: "directory" as const,
        version: 0,
        revision,
      })),
    )
    .execute();
}

interface Claim {
  readonly path: string;
  readonly kind: "file" | "directory";
}

function claim(wanted: Map<string, Claim>, path: string, kind: Claim["kind"]): void {
  const folded = foldPath(path);
  const other = wanted.get(folded);
  if (other !== undefined) refuseOverlap({ path, kind }, other);
  wanted.set(folded, { path, kind });
}

function refuseOverlap(claimed: Claim, present: Claim): void {
  if (claimed.path !== present.path) {
    throw new FileError(
      "path_conflict",
      `${claimed.path} differs only in case from ${present.path}, which exists: use that name.`,
    );
  }
  if (claimed.kind === present.kind) return;
  if (claimed.kind === "file") throw new FileError("is_directory", `${claimed.path} is a directory.`);
  throw new FileError("path_conflict", `${claimed.path} is a file, so nothing can lie below it.`);
}

/** Removes directories that have become empty, innermost first. */
export async function pruneDirectories(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: StoredMount,
  deletedFiles: readonly string[],
): Promise<void> {
  const candidates = [...new Set(deletedFiles.flatMap((path) => ancestorsBelow(mount.prefix, path)))];
  candidates.sort((left, right) => right.length - left.length);
  for (const directory of candidates.map((path) => pathInMount(mount, path))) {
    await transaction
      .deleteFrom("file_entries")
      .where("organization_id", "=", organizationId)
      .where("mount", "=", mount.key)
      .where("path", "=", directory)
      .where("kind", "=", "directory")
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom("file_entries as below")
              .select("below.id")
              .where("below.organization_id", "=", organizationId)
              .where("below.mount", "=", mount.key)
              .where("below.path", ">", `${directory}/`)
              // The character after the slash: everything below the directory sorts between the two.
              .where("below.path", "<", `${directory}0`),
          ),
        ),
      )
      .execute();
  }
}
