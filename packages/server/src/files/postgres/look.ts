/** The two looks at one file that happen all the time: each is one prepared statement. @module */
import { type Kysely, sql } from "kysely";
import { preparedMark } from "../../db/prepared.ts";
import type { FileOperation } from "../../db/tables/files.ts";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount } from "../mounts.ts";
import { FileError } from "../store.ts";

export interface FileLocation {
  readonly organizationId: string;
  readonly mount: StoredMount;
  readonly path: string;
}

/** A file with its content. */
export interface SeenFile {
  readonly version: number;
  readonly executable: boolean;
  readonly bytes: Uint8Array;
}

interface SeenRow {
  readonly kind: "file" | "directory";
  readonly version: number;
  readonly executable: boolean;
  readonly content: Buffer | null;
}

/**
 * Reads a file, and notes that the session has seen this version. The note may be lost with the database's last moment:
 * then the session has to read again before it writes.
 * @throws FileError `not_found`, `is_directory`
 */
export async function readFile(
  database: Kysely<Tables>,
  location: FileLocation,
  sessionId: string | null,
): Promise<SeenFile> {
  const { organizationId, mount, path } = location;
  const stored = pathInMount(mount, path);
  const { rows } = await sql<SeenRow>`${sql.raw(preparedMark)}
    with entry as (
      select kind, version, executable, sha256 from file_entries
      where organization_id = ${organizationId} and mount = ${mount.key} and path = ${stored}
    ), noted as (
      insert into file_reads (session_id, mount, path, organization_id, version)
      select ${sessionId}::text, ${mount.key}, ${stored}, ${organizationId}, entry.version from entry
      where kind = 'file' and ${sessionId}::text is not null and not exists (
        select from file_reads where session_id = ${sessionId} and file_reads.mount = ${mount.key}
          and file_reads.path = ${stored} and file_reads.version >= entry.version)
      on conflict (session_id, mount, path) do update set version = excluded.version
        where file_reads.version < excluded.version
      returning set_config('synchronous_commit', 'off', true)
    )
    select entry.kind, entry.version, entry.executable, file_blobs.content from entry
    left join file_blobs on file_blobs.organization_id = ${organizationId} and file_blobs.sha256 = entry.sha256`.execute(
    database,
  );
  return seen(location, rows[0]);
}

export interface EditedBefore {
  readonly version: number;
  readonly operation: FileOperation;
  readonly size: number;
  readonly replacements: number;
}

interface EditRow extends SeenRow {
  readonly recorded: EditedBefore | null;
}

/**
 * What an edit needs to know: the file, or what the same call did to it before.
 * @throws FileError `not_found`, `is_directory`
 */
export async function lookForEdit(
  database: Kysely<Tables>,
  location: FileLocation,
  toolUseId: string | null,
): Promise<SeenFile | EditedBefore> {
  const { organizationId, mount, path } = location;
  const stored = pathInMount(mount, path);
  const { rows } = await sql<EditRow>`${sql.raw(preparedMark)}
    select entry.kind, entry.version, entry.executable, file_blobs.content, (
      select jsonb_build_object('version', version, 'operation', operation, 'size', size_bytes, 'replacements', replacements)
      from file_versions where organization_id = ${organizationId} and tool_use_id = ${toolUseId}
        and mount = ${mount.key} and path = ${stored}
      order by version desc limit 1) as recorded
    from (select) one
    left join file_entries entry on organization_id = ${organizationId} and mount = ${mount.key} and path = ${stored}
    left join file_blobs on file_blobs.organization_id = ${organizationId} and file_blobs.sha256 = entry.sha256`.execute(
    database,
  );
  const [row] = rows;
  if (row?.recorded?.operation === "edit") return row.recorded;
  return seen(location, row?.kind === null ? undefined : row);
}

function seen({ path }: FileLocation, row: SeenRow | undefined): SeenFile {
  if (row === undefined) throw new FileError("not_found", `${path} does not exist.`);
  if (row.kind === "directory") throw new FileError("is_directory", `${path} is a directory.`);
  if (row.content === null) throw new Error(`the content of ${path} version ${row.version} is missing`);
  return { version: row.version, executable: row.executable, bytes: row.content };
}
