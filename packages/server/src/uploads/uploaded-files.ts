/**
 * Uploaded files: their content in parts in the blob store, all else a row. A row is written when all its parts are
 * stored: an upload that breaks off leaves parts that the collector removes.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import { maximumUploadedFileBytes, type UploadedFile } from "@exoloop/protocol/files";
import { type Kysely, type Selectable, sql } from "kysely";
import { listCondition, listPage, type ListPage, type ListQuery, positionColumn, readOrder } from "../agents/list.ts";
import type { BlobStore, StoredBlob } from "../blobs/store.ts";
import type { UploadedFileTable } from "../db/tables/memory.ts";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { shareCollectionLock } from "../sandboxes/snapshots/collection-lock.ts";

/** Stored, and nobody's yet: it is gone an hour later unless a file is made of it. */
export interface ReceivedContent {
  readonly size: number;
  readonly parts: readonly StoredBlob[];
}

export interface NewFile {
  readonly fileName: string;
  readonly mediaType: string;
  readonly content: ReceivedContent;
  /** Seconds; null: never. */
  readonly expiresIn: number | null;
}

export interface OpenFile {
  readonly file: UploadedFile;
  /** Read part by part. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** Files of one organization at a time: another organization's, and one that has expired, is `not_found`. */
export interface UploadedFiles {
  /** @throws Problem `file_too_large`, `storage_full` */
  receive(organizationId: string, body: AsyncIterable<Uint8Array>): Promise<ReceivedContent>;
  create(organizationId: string, apiKeyId: string, file: NewFile): Promise<UploadedFile>;
  get(organizationId: string, fileId: string): Promise<UploadedFile>;
  open(organizationId: string, fileId: string): Promise<OpenFile>;
  /** @param ids Of these alone, where it is given. */
  list(organizationId: string, query: ListQuery, ids: readonly string[] | null): Promise<ListPage<UploadedFile>>;
  delete(organizationId: string, fileId: string): Promise<void>;
}

/** Bytes of each part but the last. */
const partBytes = 8 * 1024 ** 2;
const usualLimits = { file: maximumUploadedFileBytes, organization: 100 * 1024 ** 3 };

/** @example const files = createUploadedFiles({ database, blobs }); */
export function createUploadedFiles(dependencies: Dependencies): UploadedFiles {
  const { database, blobs } = dependencies;
  const find = async (organizationId: string, fileId: string): Promise<FileRow> => {
    const row = await database
      .selectFrom("uploaded_files")
      .selectAll()
      .where("organization_id", "=", organizationId)
      .where("id", "=", fileId)
      .where(stillThere)
      .executeTakeFirst();
    if (row === undefined) throw fileNotFound(fileId);
    return row;
  };
  return {
    receive: (organizationId, body) => receiveContent(dependencies, organizationId, body),
    create: (organizationId, apiKeyId, file) => createFile(dependencies, organizationId, apiKeyId, file),
    get: async (organizationId, fileId) => toFile(await find(organizationId, fileId)),
    async open(organizationId, fileId) {
      const row = await find(organizationId, fileId);
      return { file: toFile(row), content: readContent(blobs, row) };
    },
    list: (organizationId, query, ids) => listFiles(database, organizationId, query, ids),
    async delete(organizationId, fileId) {
      const { numDeletedRows } = await database
        .deleteFrom("uploaded_files")
        .where("organization_id", "=", organizationId)
        .where("id", "=", fileId)
        .where(stillThere)
        .executeTakeFirst();
      if (numDeletedRows === 0n) throw fileNotFound(fileId);
    },
  };
}

type FileRow = Selectable<UploadedFileTable>;

const stillThere = sql<boolean>`(expires_at is null or expires_at > now())`;

function toFile(row: FileRow): UploadedFile {
  return {
    id: row.id,
    type: "file",
    filename: row.file_name,
    mime_type: row.media_type,
    size_bytes: row.size_bytes,
    downloadable: true,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    scope: null,
  };
}

async function* readContent(blobs: BlobStore, row: FileRow): AsyncGenerator<Uint8Array> {
  for (const part of row.blobs) yield await blobs.get(row.organization_id, part);
}

interface Dependencies {
  readonly database: Kysely<Tables>;
  readonly blobs: BlobStore;
  /** Bytes of one file, and of all of an organization; 500 MiB and 100 GiB. */
  readonly limits?: { readonly file: number; readonly organization: number };
}

async function receiveContent(
  { database, blobs, limits = usualLimits }: Dependencies,
  organizationId: string,
  body: AsyncIterable<Uint8Array>,
): Promise<ReceivedContent> {
  await refuseWhenFull(database, organizationId, limits.organization);
  const parts: StoredBlob[] = [];
  let size = 0;
  for await (const part of inParts(body)) {
    size += part.length;
    if (size > limits.file) throw tooLarge(limits.file);
    parts.push(await blobs.put(organizationId, part));
  }
  return { size, parts };
}

async function createFile(
  { database, blobs }: Dependencies,
  organizationId: string,
  apiKeyId: string,
  { fileName, mediaType, content, expiresIn }: NewFile,
): Promise<UploadedFile> {
  const row = await database.transaction().execute(async (transaction) => {
    await shareCollectionLock(transaction, organizationId);
    for (const part of content.parts) {
      if (part.existed && !(await blobs.has(organizationId, part.sha256))) throw removedMeanwhile();
    }
    return transaction
      .insertInto("uploaded_files")
      .values({
        id: createId("file"),
        organization_id: organizationId,
        file_name: fileName,
        media_type: mediaType,
        size_bytes: content.size,
        blobs: content.parts.map((part) => part.sha256),
        created_by: apiKeyId,
        expires_at: expiresIn === null ? null : new Date(Date.now() + expiresIn * 1_000),
      })
      .returningAll()
      .executeTakeFirstOrThrow();
  });
  return toFile(row);
}

/** Pieces of whatever size, joined and cut. */
async function* inParts(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    let rest = piece;
    while (size + rest.length >= partBytes) {
      const taken = rest.subarray(0, partBytes - size);
      yield Buffer.concat([...held, taken]);
      [held, size, rest] = [[], 0, rest.subarray(taken.length)];
    }
    if (rest.length > 0) held.push(rest);
    size += rest.length;
  }
  if (size > 0) yield Buffer.concat(held);
}

async function refuseWhenFull(database: Kysely<Tables>, organizationId: string, maximum: number): Promise<void> {
  const { rows } = await sql<{ bytes: number }>`
    select coalesce(sum(size_bytes), 0)::float8 as bytes from uploaded_files
    where organization_id = ${organizationId}`.execute(database);
  if ((rows[0]?.bytes ?? 0) < maximum) return;
  throw new Problem(
    "storage_full",
    `The files of this organization have ${maximum} bytes, which is all that it may store.`,
    "Delete some, or upload files that expire.",
  );
}

async function listFiles(
  database: Kysely<Tables>,
  organizationId: string,
  query: ListQuery,
  ids: readonly string[] | null,
): Promise<ListPage<UploadedFile>> {
  let select = database
    .selectFrom("uploaded_files")
    .selectAll()
    .select(positionColumn.as("list_position"))
    .where("organization_id", "=", organizationId)
    .where(stillThere)
    .where(listCondition({ ...query, includeArchived: true }));
  if (ids !== null) select = select.where("id", "in", ids.length === 0 ? [""] : [...ids]);
  const rows = await select
    .orderBy("created_at", readOrder(query))
    .orderBy("id", readOrder(query))
    .limit(query.limit + 1)
    .execute();
  const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  return { ...page, rows: page.rows.map(toFile) };
}

function fileNotFound(fileId: string): Problem {
  return new Problem("not_found", `No file has the id ${JSON.stringify(fileId)}.`, "List them with GET /v1/files.");
}

function tooLarge(maximum: number): Problem {
  return new Problem("file_too_large", `file: is larger than ${maximum} bytes.`, "Split it, or send less.");
}

function removedMeanwhile(): Problem {
  return new Problem("internal", "A part of the file was removed while it was stored.", "Send the request again.");
}
