/**
 * The two looks at one file that happen all the time: each is one round trip, in plain statements that are kept prepared.
 * A function in the database that did the same took 0.1 ms more.
 * @module
 */
import { CompiledQuery, type Kysely } from "kysely";
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

interface LookRow {
  readonly kind: "file" | "directory" | null;
  readonly version: number;
  readonly executable: boolean;
  readonly content: Buffer | null;
  readonly recorded?: EditedBefore | null;
}

/** The head of a path with its content; further columns and tables by what is looked for. */
const headOf = (columns: string, before = "") => `${preparedMark}
  with head as materialized (
    select kind, version, executable, sha256 from file_entries
    where organization_id = $1 and mount = $2 and path = $3
  )${before}
  select head.kind, head.version, head.executable, file_blobs.content${columns}
  from (select) as always left join head on true
  left join file_blobs on file_blobs.organization_id = $1 and file_blobs.sha256 = head.sha256`;

const readStatement = headOf("");

/** The note is worth no wait for the disk, and is made only where it says something new. */
const readAndNoteStatement = headOf(
  "",
  `, noted as (
    insert into file_reads (session_id, organization_id, mount, path, version)
    select $4, $1, $2, $3, head.version from head
    where head.kind = 'file' and not exists (
        select from file_reads known
        where known.session_id = $4 and known.mount = $2 and known.path = $3 and known.version >= head.version)
      and set_config('synchronous_commit', 'off', true) is not null
    on conflict (session_id, mount, path) do update set version = excluded.version
      where file_reads.version < excluded.version
  )`,
);

const editStatement = headOf(`, (
    select jsonb_build_object('version', version, 'operation', operation, 'size', size_bytes, 'replacements', replacements)
    from file_versions
    where organization_id = $1 and tool_use_id = $4 and mount = $2 and path = $3
    order by version desc limit 1
  ) as recorded`);

async function look(
  database: Kysely<Tables>,
  statement: string,
  { organizationId, mount, path }: FileLocation,
  further: readonly string[],
): Promise<LookRow | undefined> {
  const parameters = [organizationId, mount.key, pathInMount(mount, path), ...further];
  const { rows } = await database.executeQuery<LookRow>(CompiledQuery.raw(statement, parameters));
  return rows[0];
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
  const row =
    sessionId === null
      ? await look(database, readStatement, location, [])
      : await look(database, readAndNoteStatement, location, [sessionId]);
  return seen(location, row);
}

export interface EditedBefore {
  readonly version: number;
  readonly operation: FileOperation;
  readonly size: number;
  readonly replacements: number;
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
  const row =
    toolUseId === null
      ? await look(database, readStatement, location, [])
      : await look(database, editStatement, location, [toolUseId]);
  return row?.recorded?.operation === "edit" ? row.recorded : seen(location, row);
}

function seen({ path }: FileLocation, row: LookRow | undefined): SeenFile {
  if (row === undefined || row.kind === null) throw new FileError("not_found", `${path} does not exist.`);
  if (row.kind === "directory") throw new FileError("is_directory", `${path} is a directory.`);
  if (row.content === null) throw new Error(`the content of ${path} version ${row.version} is missing`);
  return { version: row.version, executable: row.executable, bytes: row.content };
}
