/** /v1/x/filesystem: versions of stored files, what they were, and putting that back. @module */
import {
  type FileConflict,
  fileConflict,
  fileConflictPage,
  type FileDifference,
  fileDifference,
  type FileRestoration,
  fileRestoration,
  type FileVersion,
  fileVersion,
  fileVersionPage,
  resolveConflictRequest,
  type RestoreFilesRequest,
  restoreFilesRequest,
  type StoredFile,
  storedFile,
  type UndoFilesRequest,
  type VouchForFileRequest,
  vouchForFileRequest,
  undoFilesRequest,
} from "@exoloop/protocol/filesystem";
import { defaultPageSize } from "@exoloop/protocol/pages";
import { commandOutput } from "@exoloop/protocol/sandboxes";
import { z } from "zod";
import type { Principal } from "../../orgs/principal.ts";
import { decodeCursor, encodeCursor } from "../pages.ts";
import { flag, limit, page } from "../query.ts";
import { addRoute, type RouteContext } from "../route.ts";

/** Which versions: those of a path and all below it, and of one session or one of its calls. */
export interface HistoryQuery {
  readonly path?: string;
  readonly sessionId?: string;
  readonly toolUseId?: string;
}

export interface HistoryPage {
  readonly limit: number;
  readonly after?: HistoryPosition;
}

/** Mount by mount; within one the newest comes first. */
export interface HistoryPosition {
  readonly mount: string;
  readonly cursor: string | null;
}

export interface Found<Item> {
  readonly data: readonly Item[];
  readonly next: HistoryPosition | null;
}

export interface FileHistoryPort {
  history(principal: Principal, query: HistoryQuery, page: HistoryPage): Promise<Found<FileVersion>>;
  /** @throws Problem `not_found` for a version that never was */
  difference(
    principal: Principal,
    path: string,
    between: { readonly from?: number; readonly to?: number },
  ): Promise<FileDifference>;
  restore(principal: Principal, request: RestoreFilesRequest): Promise<FileRestoration>;
  undo(principal: Principal, request: UndoFilesRequest): Promise<FileRestoration>;
  /** Takes the mark `untrusted` off a file. @throws Problem `version_conflict` when another version is there by now */
  vouch(principal: Principal, request: VouchForFileRequest): Promise<StoredFile>;
  /** The content of a version goes, its row stays. @throws Problem `version_conflict` for a head */
  redact(principal: Principal, versionId: string): Promise<FileVersion>;
  conflicts(
    principal: Principal,
    query: { readonly resolved: boolean },
    page: HistoryPage,
  ): Promise<Found<FileConflict>>;
  /** What lost, as it was written. */
  conflictContent(principal: Principal, conflictId: string): Promise<Uint8Array>;
  resolveConflict(principal: Principal, conflictId: string, keep: "head" | "kept"): Promise<FileConflict>;
}

const tag = "Files";
const root = "/v1/x/filesystem";
const filePath = z.string().min(1).max(4_096);
const identifier = z.string().min(1).max(128);
const whole = z.coerce.number<string>().int().min(0).max(Number.MAX_SAFE_INTEGER).optional();

export function addFileHistoryRoutes(context: RouteContext, files: FileHistoryPort): void {
  addVersionRoutes(context, files);
  addConflictRoutes(context, files);
  addRoute(
    context,
    {
      method: "post",
      path: `${root}/restore`,
      summary: "Put stored files back as they were",
      tag,
      body: restoreFilesRequest,
      answer: fileRestoration,
    },
    ({ principal, body }) => files.restore(principal, body),
  );
  addRoute(
    context,
    {
      method: "post",
      path: `${root}/undo`,
      summary: "Undo what one session did to stored files",
      tag,
      body: undoFilesRequest,
      answer: fileRestoration,
    },
    ({ principal, body }) => files.undo(principal, body),
  );
  addRoute(
    context,
    {
      method: "post",
      path: `${root}/vouch`,
      summary: "Stand for what an untrusted session wrote: its mark goes, its content stays",
      tag,
      body: vouchForFileRequest,
      answer: storedFile,
    },
    ({ principal, body }) => files.vouch(principal, body),
  );
}

const historyPosition = z.strictObject({ mount: z.string().max(200), cursor: z.string().max(200).nullable() });

async function paged<Item>(
  scope: { readonly list: string; readonly organizationId: string },
  query: { readonly limit?: number | undefined; readonly page?: string | undefined },
  read: (page: HistoryPage) => Promise<Found<Item>>,
): Promise<{ data: Item[]; next_page: string | null }> {
  const after = query.page === undefined ? {} : { after: decodeCursor(scope, query.page, historyPosition) };
  const { data, next } = await read({ limit: query.limit ?? defaultPageSize, ...after });
  return { data: [...data], next_page: next === null ? null : encodeCursor(scope, next) };
}

function addVersionRoutes(context: RouteContext, files: FileHistoryPort): void {
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/versions`,
      summary: "List versions of stored files, newest first",
      tag,
      query: z.strictObject({
        path: filePath.optional(),
        session_id: identifier.optional(),
        tool_use_id: identifier.optional(),
        limit,
        page,
      }),
      answer: fileVersionPage,
    },
    ({ principal, query }) => {
      const { path, session_id: sessionId, tool_use_id: toolUseId } = query;
      const wanted = {
        ...(path === undefined ? {} : { path }),
        ...(sessionId === undefined ? {} : { sessionId }),
        ...(toolUseId === undefined ? {} : { toolUseId }),
      };
      const scope = { list: `versions ${JSON.stringify(wanted)}`, organizationId: principal.organizationId };
      return paged(scope, query, (position) => files.history(principal, wanted, position));
    },
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: `${root}/versions/{version_id}/redact`,
      summary: "Remove the content of a version",
      tag,
      answer: fileVersion,
    },
    ({ principal, parameter }) => files.redact(principal, parameter("version_id")),
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/diff`,
      summary: "Compare two versions of a stored file",
      tag,
      query: z.strictObject({ path: filePath, from: whole, to: whole }),
      answer: fileDifference,
    },
    ({ principal, query: { path, from, to } }) =>
      files.difference(principal, path, {
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
      }),
  );
}

function addConflictRoutes(context: RouteContext, files: FileHistoryPort): void {
  const item = `${root}/conflicts/{conflict_id}` as const;
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/conflicts`,
      summary: "List texts that lost a race and were kept, newest first",
      tag,
      query: z.strictObject({ resolved: flag, limit, page }),
      answer: fileConflictPage,
    },
    ({ principal, query }) => {
      const { resolved = false } = query;
      const scope = { list: `conflicts ${resolved}`, organizationId: principal.organizationId };
      return paged(scope, query, (position) => files.conflicts(principal, { resolved }, position));
    },
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${item}/content`,
      summary: "Read a text that lost a race",
      tag,
      answer: commandOutput,
      stream: "application/octet-stream",
    },
    async ({ principal, parameter }) =>
      new Response(Uint8Array.from(await files.conflictContent(principal, parameter("conflict_id"))), {
        headers: {
          "content-type": "application/octet-stream",
          "content-disposition": "attachment",
          "x-content-type-options": "nosniff",
        },
      }),
  );
  addRoute(
    context,
    {
      method: "post",
      path: `${item}/resolve`,
      summary: "Decide a conflict: what is there stays, or the text that lost becomes the new version",
      tag,
      body: resolveConflictRequest,
      answer: fileConflict,
    },
    ({ principal, body, parameter }) => files.resolveConflict(principal, parameter("conflict_id"), body.keep),
  );
}
