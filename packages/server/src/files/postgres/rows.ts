/** Questions to the stored files that change nothing. @module */
import type { Kysely } from "kysely";
import type { FileOperation } from "../../db/tables/files.ts";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";

/** The head of one path. */
export interface StoredFile {
  /** Stays the same when the file is renamed. */
  readonly memoryId: string;
  readonly path: string;
  readonly version: number;
  readonly revision: number;
  readonly sha256: string;
  readonly size: number;
  readonly executable: boolean;
  /** Who changed it last; null for an import or the API. */
  readonly sessionId: string | null;
  readonly userId: string | null;
  /** Whoever wrote it had read what nobody vouches for. */
  readonly untrusted: boolean;
  readonly updatedAt: Date;
}

/** A directory that exists. */
export interface StoredDirectory {
  readonly path: string;
  readonly version: number;
  readonly revision: number;
  readonly updatedAt: Date;
}

/** What is, or was, at a path. */
export type PathKind = "file" | "directory" | "absent";

/** A path as it was at some version. `sha256` is null for a directory, and where the path had ended by then. */
export interface PastFile {
  readonly path: string;
  readonly kind: PathKind;
  readonly version: number;
  readonly sha256: string | null;
  readonly executable: boolean;
  /** Its content is gone for good, though another file may have the same. */
  readonly redacted: boolean;
}

const headColumns = [
  "memory_id",
  "path",
  "version",
  "revision",
  "sha256",
  "size_bytes",
  "executable",
  "session_id",
  "user_id",
  "untrusted",
  "updated_at",
] as const;

export interface HeadRow {
  readonly memory_id: string | null;
  readonly path: string;
  readonly version: number;
  readonly revision: number;
  readonly sha256: string | null;
  readonly size_bytes: number;
  readonly executable: boolean;
  readonly session_id: string | null;
  readonly user_id: string | null;
  readonly untrusted: boolean;
  readonly updated_at: Date;
}

export function headOf(mount: StoredMount, row: HeadRow): StoredFile[] {
  if (row.sha256 === null || row.memory_id === null) return [];
  const { version, revision, sha256, executable, untrusted } = row;
  return [
    {
      memoryId: row.memory_id,
      path: visiblePath(mount, row.path),
      version,
      revision,
      sha256,
      size: row.size_bytes,
      executable,
      sessionId: row.session_id,
      userId: row.user_id,
      untrusted,
      updatedAt: row.updated_at,
    },
  ];
}

/** What is at each of the paths. */
export async function findEntries(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  paths: readonly string[],
): Promise<{ readonly files: Map<string, StoredFile>; readonly directories: Map<string, StoredDirectory> }> {
  const [files, directories] = [new Map<string, StoredFile>(), new Map<string, StoredDirectory>()];
  if (paths.length === 0) return { files, directories };
  const rows = await database
    .selectFrom("file_entries")
    .select([...headColumns, "kind"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where(
      "path",
      "in",
      paths.map((path) => pathInMount(mount, path)),
    )
    .execute();
  for (const row of rows) {
    if (row.kind === "directory") {
      const directory = directoryOf(mount, row);
      directories.set(directory.path, directory);
    } else for (const head of headOf(mount, row)) files.set(head.path, head);
  }
  return { files, directories };
}

function directoryOf(mount: StoredMount, { path, version, revision, updated_at }: HeadRow): StoredDirectory {
  return { path: visiblePath(mount, path), version, revision, updatedAt: updated_at };
}

/** Every directory of a mount, in path order: each before what lies in it. */
export async function listDirectories(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
): Promise<StoredDirectory[]> {
  const rows = await database
    .selectFrom("file_entries")
    .select(headColumns)
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("kind", "=", "directory")
    .orderBy("path")
    .execute();
  return rows.map((row) => directoryOf(mount, row));
}

export async function findHeads(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  paths: readonly string[],
): Promise<Map<string, StoredFile>> {
  if (paths.length === 0) return new Map();
  const rows = await database
    .selectFrom("file_entries")
    .select(headColumns)
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where(
      "path",
      "in",
      paths.map((path) => pathInMount(mount, path)),
    )
    .where("kind", "=", "file")
    .execute();
  return new Map(rows.flatMap((row) => headOf(mount, row)).map((head) => [head.path, head]));
}

/** Every file of a mount, in path order. */
export async function listHeads(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
): Promise<StoredFile[]> {
  const rows = await database
    .selectFrom("file_entries")
    .select(headColumns)
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("kind", "=", "file")
    .orderBy("path")
    .execute();
  return rows.flatMap((row) => headOf(mount, row));
}

/** The content of each hash, but for those that were redacted. The caller bounds their number and size. */
export async function readContents(
  database: Kysely<Tables>,
  organizationId: string,
  hashes: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  if (hashes.length === 0) return found;
  const rows = await database
    .selectFrom("file_blobs")
    .select(["sha256", "content"])
    .where("organization_id", "=", organizationId)
    .where("sha256", "in", hashes)
    .execute();
  for (const row of rows) if (row.content !== null) found.set(row.sha256, row.content);
  return found;
}

/** What is at the path of a version since it was made. */
export function kindAfter(operation: FileOperation, { sha256 }: { readonly sha256: string | null }): PathKind {
  if (sha256 !== null) return "file";
  return operation === "make_directory" || operation === "move_in" ? "directory" : "absent";
}

/** The last version of each path that is not newer than the revision. */
export async function filesAtRevision(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  revision: number,
): Promise<PastFile[]> {
  const rows = await database
    .selectFrom("file_versions")
    .distinctOn("path")
    .select(["path", "version", "sha256", "executable", "operation", "redacted_at"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("revision", "<=", revision)
    .orderBy("path")
    .orderBy("version", "desc")
    .execute();
  return rows.map(({ operation, redacted_at, ...row }) => ({
    ...row,
    redacted: redacted_at !== null,
    kind: kindAfter(operation, row),
    path: visiblePath(mount, row.path),
  }));
}

/** Zero for a mount that nobody has written to. */
export async function mountRevision(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
): Promise<number> {
  const row = await database
    .selectFrom("file_mounts")
    .select("revision")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .executeTakeFirst();
  return row?.revision ?? 0;
}
