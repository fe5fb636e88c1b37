/**
 * Directories exist as rows for as long as a file lies below them, so that the database itself refuses a file where a
 * directory is, and two names that differ only in case.
 * @module
 */
import type { Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { ancestorsBelow, foldPath } from "../path.ts";
import { FileError } from "../store.ts";

export interface DirectoryLocation {
  readonly organizationId: string;
  readonly mount: string;
  readonly revision: number;
}

/** @throws FileError `path_conflict`, `is_directory` */
export async function ensureDirectories(
  transaction: Transaction<Tables>,
  { organizationId, mount, revision }: DirectoryLocation,
  files: readonly string[],
): Promise<void> {
  if (files.length === 0) return;
  const directories = new Set(files.flatMap((path) => ancestorsBelow(mount, path)));
  const wanted = new Map<string, { readonly path: string; readonly kind: "file" | "directory" }>();
  for (const path of directories) claim(wanted, path, "directory");
  for (const path of files) claim(wanted, path, "file");
  const present = await transaction
    .selectFrom("file_entries")
    .select(["path", "folded_path", "kind"])
    .where("organization_id", "=", organizationId)
    .where("folded_path", "in", [...wanted.keys()])
    .execute();
  for (const entry of present) {
    const claimed = wanted.get(entry.folded_path);
    if (claimed !== undefined) refuseOverlap(claimed, entry);
    directories.delete(entry.path);
  }
  if (directories.size === 0) return;
  await transaction
    .insertInto("file_entries")
    .values(
      [...directories].map((path) => ({
        organization_id: organizationId,
        mount,
        path,
        folded_path: foldPath(path),
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
  mount: string,
  deletedFiles: readonly string[],
): Promise<void> {
  const candidates = [...new Set(deletedFiles.flatMap((path) => ancestorsBelow(mount, path)))];
  candidates.sort((left, right) => right.length - left.length);
  for (const directory of candidates) {
    await transaction
      .deleteFrom("file_entries")
      .where("organization_id", "=", organizationId)
      .where("path", "=", directory)
      .where("kind", "=", "directory")
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom("file_entries as below")
              .select("below.id")
              .where("below.organization_id", "=", organizationId)
              .where("below.path", ">", `${directory}/`)
              // The character after the slash: everything below the directory sorts between the two.
              .where("below.path", "<", `${directory}0`),
          ),
        ),
      )
      .execute();
  }
}
