/** The versions of memories: the history of a store's files, as the API shows it. @module */
import {
  type MemoryActor,
  memoryActor as actorSchema,
  type MemoryOperation,
  type MemoryVersion,
  type MemoryView,
} from "@exoloop/protocol/memories";
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { TimeRange } from "../../agents/list.ts";
import type { FileOperation, FileOrigin } from "../../db/tables/files.ts";
import type { Tables } from "../../db/tables.ts";
import { Problem } from "../../errors.ts";
import { redactVersion } from "../postgres/history/redact.ts";
import { FileError } from "../store.ts";
import { decodeText } from "../text.ts";
import { type MemoryCaller, openStore, type OpenStore } from "./store-access.ts";

export interface VersionPosition {
  readonly revision: number;
  readonly ordinal: number;
}

export interface VersionQuery {
  readonly view: MemoryView;
  readonly limit: number;
  /** Of the last item of the page before. */
  readonly after: VersionPosition | null;
  readonly memoryId?: string;
  readonly operation?: MemoryOperation;
  readonly sessionId?: string;
  readonly apiKeyId?: string;
  /** There are none here, so none matches. */
  readonly serviceAccountId?: string;
  readonly created?: TimeRange;
}

export interface VersionPage {
  readonly versions: readonly MemoryVersion[];
  readonly next: VersionPosition | null;
}

/** Every method throws Problem `not_found` for a store or a version that the caller does not have. */
export interface MemoryVersionRepository {
  get(caller: MemoryCaller, storeId: string, versionId: string, view: MemoryView): Promise<MemoryVersion>;
  /**
   * Its content and path are gone for good; the row says who did it.
   * @throws Problem `version_conflict` for the version that is the memory now
   */
  redact(caller: MemoryCaller, storeId: string, versionId: string): Promise<MemoryVersion>;
  /** Newest first. */
  list(caller: MemoryCaller, storeId: string, query: VersionQuery): Promise<VersionPage>;
}

/** @example const versions = createMemoryVersionRepository(database); */
export function createMemoryVersionRepository(database: Kysely<Tables>): MemoryVersionRepository {
  return {
    get: async (caller, storeId, versionId, view) =>
      getVersion(database, await openStore(database, caller, storeId), versionId, view),
    redact: (caller, storeId, versionId) => redact(database, caller, storeId, versionId),
    list: async (caller, storeId, query) => listVersions(database, await openStore(database, caller, storeId), query),
  };
}

async function redact(
  database: Kysely<Tables>,
  caller: MemoryCaller,
  storeId: string,
  versionId: string,
): Promise<MemoryVersion> {
  const store = await openStore(database, caller, storeId);
  const { row, mount } = store;
  await getVersion(database, store, versionId, "basic");
  try {
    const by = callerAsActor(caller);
    await redactVersion(database, { organizationId: row.organization_id, mount, versionId, by });
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== "conflict") throw error;
    throw new Problem(
      "version_conflict",
      `The version ${versionId} is the memory's present content, which cannot be redacted.`,
      "Update or delete the memory first.",
    );
  }
  return getVersion(database, store, versionId, "full");
}

interface VersionRow {
  readonly id: string;
  readonly memory_id: string;
  readonly revision: number;
  readonly ordinal: number;
  readonly operation: FileOperation;
  readonly path: string;
  readonly sha256: string | null;
  readonly size_bytes: number;
  readonly content: Buffer | null;
  readonly session_id: string | null;
  readonly user_id: string | null;
  readonly api_key_id: string | null;
  readonly tool_use_id: string | null;
  readonly via: FileOrigin;
  readonly untrusted: boolean;
  readonly created_at: Date;
  readonly redacted_at: Date | null;
  readonly redacted_by: unknown;
}

function columns(view: MemoryView): RawBuilder<unknown> {
  return sql`
    version.id, version.memory_id, version.revision, version.ordinal, version.operation, version.path, version.sha256,
    version.size_bytes, version.session_id, version.user_id, version.api_key_id, version.tool_use_id, version.via,
    version.untrusted, version.created_at, version.redacted_at, version.redacted_by,
    ${
      view === "basic"
        ? sql`null::bytea`
        : sql`(select blob.content from file_blobs blob
            where blob.organization_id = version.organization_id and blob.sha256 = version.sha256)`
    } as content`;
}

/**
 * What of a store's history is a version of a memory: no directories, of a rename its arrival, and not that either where
 * the same change went on to give it another content.
 */
function ofStore({ row }: OpenStore): RawBuilder<unknown> {
  return sql`version.organization_id = ${row.organization_id} and version.mount = ${row.mount}
    and version.memory_id is not null
    and version.operation in ('create', 'write', 'edit', 'merge', 'delete', 'move_in', 'vouch')
    and not (version.operation = 'move_in' and exists (select from file_versions later
      where later.organization_id = version.organization_id and later.mount = version.mount
        and later.revision = version.revision and later.ordinal > version.ordinal
        and later.path = version.path and later.memory_id = version.memory_id))`;
}

async function getVersion(
  database: Kysely<Tables>,
  store: OpenStore,
  versionId: string,
  view: MemoryView,
): Promise<MemoryVersion> {
  const { rows } = await sql<VersionRow>`
    select ${columns(view)} from file_versions version
    where ${ofStore(store)} and version.id = ${versionId}`.execute(database);
  const [row] = rows;
  if (row !== undefined) return toVersion(store, row, view);
  throw new Problem(
    "not_found",
    `The memory store has no memory version with the id ${JSON.stringify(versionId)}.`,
    "List them with GET /v1/memory_stores/{memory_store_id}/memory_versions.",
  );
}

const operationsOf: Readonly<Record<MemoryOperation, readonly FileOperation[]>> = {
  created: ["create"],
  modified: ["write", "edit", "merge", "move_in", "vouch"],
  deleted: ["delete"],
};

async function listVersions(database: Kysely<Tables>, store: OpenStore, query: VersionQuery): Promise<VersionPage> {
  if (query.serviceAccountId !== undefined) return { versions: [], next: null };
  const conditions: RawBuilder<unknown>[] = [ofStore(store)];
  const { after, memoryId, operation, sessionId, apiKeyId, created = {} } = query;
  if (after !== null) conditions.push(sql`(version.revision, version.ordinal) < (${after.revision}, ${after.ordinal})`);
  if (memoryId !== undefined) conditions.push(sql`version.memory_id = ${memoryId}`);
  if (operation !== undefined) conditions.push(sql`version.operation = any(${[...operationsOf[operation]]}::text[])`);
  if (sessionId !== undefined) conditions.push(sql`version.session_id = ${sessionId}`);
  if (apiKeyId !== undefined) conditions.push(sql`version.api_key_id = ${apiKeyId}`);
  if (created.gt !== undefined) conditions.push(sql`version.created_at > ${created.gt}`);
  if (created.gte !== undefined) conditions.push(sql`version.created_at >= ${created.gte}`);
  if (created.lt !== undefined) conditions.push(sql`version.created_at < ${created.lt}`);
  if (created.lte !== undefined) conditions.push(sql`version.created_at <= ${created.lte}`);
  const { rows } = await sql<VersionRow>`
    select ${columns(query.view)} from ${candidates(store, query)} version
    where ${sql.join(conditions, sql` and `)}
    order by version.revision desc, version.ordinal desc limit ${query.limit + 1}`.execute(database);
  const shown = rows.slice(0, query.limit);
  const last = shown.at(-1);
  return {
    versions: shown.map((row) => toVersion(store, row, query.view)),
    next:
      last === undefined || rows.length === shown.length ? null : { revision: last.revision, ordinal: last.ordinal },
  };
}

/** Those of one memory or of one session by their own index: the one of the whole store has the order that is asked for. */
function candidates({ row }: OpenStore, { memoryId, sessionId }: VersionQuery): RawBuilder<unknown> {
  if (memoryId !== undefined) return sql`(select * from file_versions where memory_id = ${memoryId} offset 0)`;
  if (sessionId === undefined) return sql`file_versions`;
  return sql`(select * from file_versions where session_id = ${sessionId} and mount = ${row.mount}
    order by revision desc, ordinal desc offset 0)`;
}

function toVersion(store: OpenStore, row: VersionRow, view: MemoryView): MemoryVersion {
  const redacted = row.redacted_at !== null;
  const empty = redacted || row.sha256 === null;
  const createdBy = writerOf(row);
  const redactedBy = actorSchema.safeParse(row.redacted_by);
  return {
    id: row.id,
    type: "memory_version",
    memory_id: row.memory_id,
    memory_store_id: store.row.id,
    operation: operationOf(row.operation),
    path: redacted ? null : row.path,
    content: empty || view === "basic" || row.content === null ? null : decodeText(row.content),
    content_sha256: empty ? null : row.sha256,
    content_size_bytes: empty ? null : row.size_bytes,
    created_at: row.created_at.toISOString(),
    ...(createdBy === null ? {} : { created_by: createdBy }),
    redacted_at: row.redacted_at?.toISOString() ?? null,
    ...(redactedBy.success ? { redacted_by: redactedBy.data } : {}),
    x_exoloop: { via: row.via, untrusted: row.untrusted, user_id: row.user_id, tool_use_id: row.tool_use_id },
  };
}

function operationOf(operation: FileOperation): MemoryOperation {
  if (operation === "create") return "created";
  return operation === "delete" ? "deleted" : "modified";
}

/** Null: an import, or from before keys were written down. */
function writerOf(row: VersionRow): MemoryActor | null {
  if (row.session_id !== null) return { type: "session_actor", session_id: row.session_id };
  if (row.user_id !== null) return { type: "user_actor", user_id: row.user_id };
  return row.api_key_id === null ? null : { type: "api_actor", api_key_id: row.api_key_id };
}

/** A caller of the API, as whoever redacted something. */
function callerAsActor(caller: MemoryCaller): MemoryActor {
  if (typeof caller.userId === "string") return { type: "user_actor", user_id: caller.userId };
  return { type: "api_actor", api_key_id: caller.apiKeyId };
}
