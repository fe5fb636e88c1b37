/** The two looks at one file that happen all the time: each is one round trip (`file_look`, migration 0019). @module */
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
  readonly recorded: EditedBefore | null;
}

const statement = `${preparedMark} select * from file_look($1, $2, $3, $4, $5)`;

async function look(
  database: Kysely<Tables>,
  { organizationId, mount, path }: FileLocation,
  sessionId: string | null,
  toolUseId: string | null,
): Promise<LookRow | undefined> {
  const parameters = [organizationId, mount.key, pathInMount(mount, path), sessionId, toolUseId];
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
  return seen(location, await look(database, location, sessionId, null));
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
  const row = await look(database, location, null, toolUseId);
  return row?.recorded?.operation === "edit" ? row.recorded : seen(location, row);
}

function seen({ path }: FileLocation, row: LookRow | undefined): SeenFile {
  if (row === undefined || row.kind === null) throw new FileError("not_found", `${path} does not exist.`);
  if (row.kind === "directory") throw new FileError("is_directory", `${path} is a directory.`);
  if (row.content === null) throw new Error(`the content of ${path} version ${row.version} is missing`);
  return { version: row.version, executable: row.executable, bytes: row.content };
}
