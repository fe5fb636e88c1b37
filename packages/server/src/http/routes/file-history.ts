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
  type RestoreFilesRequest,
  restoreFilesRequest,
  type UndoFilesRequest,
  undoFilesRequest,
} from "@exoloop/protocol/filesystem";
import { defaultPageSize } from "@exoloop/protocol/pages";
import { commandOutput } from "@exoloop/protocol/sandboxes";
import { z } from "zod";
import type { Principal } from "../../orgs/principal.ts";
import { decodeCursor, encodeCursor, numberCursor } from "../pages.ts";
import { flag, limit, page } from "../query.ts";
import { addRoute, type RouteContext } from "../route.ts";

/** Which versions: those of a path and all below it, and of one session or one of its calls. */
export interface HistoryQuery {
  readonly path?: string;
  readonly sessionId?: string;
  readonly toolUseId?: string;
  readonly limit: number;
  /** How many of the newest are left out. */
  readonly offset: number;
}

export interface FileHistoryPort {
  /** Newest first. */
  history(principal: Principal, query: HistoryQuery): Promise<readonly FileVersion[]>;
  /** @throws Problem `not_found` for a version that never was */
  difference(
    principal: Principal,
    path: string,
    between: { readonly from?: number; readonly to?: number },
  ): Promise<FileDifference>;
  restore(principal: Principal, request: RestoreFilesRequest): Promise<FileRestoration>;
  undo(principal: Principal, request: UndoFilesRequest): Promise<FileRestoration>;
  /** The content of a version goes, its row stays. @throws Problem `version_conflict` for a head */
  redact(principal: Principal, versionId: string): Promise<FileVersion>;
  /** Newest first. */
  conflicts(
    principal: Principal,
    query: { readonly limit: number; readonly offset: number; readonly resolved: boolean },
  ): Promise<readonly FileConflict[]>;
  /** What lost, as it was written. */
  conflictContent(principal: Principal, conflictId: string): Promise<Uint8Array>;
  resolveConflict(principal: Principal, conflictId: string): Promise<FileConflict>;
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
}

interface Paged {
  readonly limit?: number | undefined;
  readonly page?: string | undefined;
}

/** Lists whose newest come first and are told apart by how many came before. */
async function numbered<Item>(
  scope: { readonly list: string; readonly organizationId: string },
  { limit: size = defaultPageSize, page: cursor }: Paged,
  read: (query: { readonly limit: number; readonly offset: number }) => Promise<readonly Item[]>,
): Promise<{ data: Item[]; next_page: string | null }> {
  const offset = cursor === undefined ? 0 : decodeCursor(scope, cursor, numberCursor).number;
  const items = await read({ limit: size + 1, offset });
  const more = items.length > size;
  return {
    data: items.slice(0, size),
    next_page: more ? encodeCursor(scope, { order: "desc", number: offset + size }) : null,
  };
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
      return numbered(scope, query, (position) => files.history(principal, { ...wanted, ...position }));
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
      return numbered(scope, query, (position) => files.conflicts(principal, { ...position, resolved }));
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
    { method: "post", path: `${item}/resolve`, summary: "Mark a conflict as dealt with", tag, answer: fileConflict },
    ({ principal, parameter }) => files.resolveConflict(principal, parameter("conflict_id")),
  );
}
