/** /v1/x/filesystem: stored files as people see them, with their history. @module */
import {
  commitFilesRequest,
  type CommitFilesRequest,
  type FileCommit,
  fileCommit,
  fileMatches,
  type FileMatches,
  type StoredFile,
  storedFile,
  storedFilePage,
} from "@exoloop/protocol/filesystem";
import { commandOutput } from "@exoloop/protocol/sandboxes";
import { z } from "zod";
import type { Principal } from "../../orgs/principal.ts";
import { flag, limit } from "../query.ts";
import { addRoute, type RouteContext } from "../route.ts";

/** Which state of a file or a mount: at most one of them; the present one without any. */
export interface FileMoment {
  readonly version?: number;
  readonly revision?: number;
  readonly at?: Date;
}

export interface ReadFile {
  readonly bytes: Uint8Array;
  readonly version: number;
  readonly sha256: string;
}

export interface FileSearch {
  readonly pattern: string;
  readonly path: string;
  readonly glob?: string;
  readonly ignoreCase: boolean;
  readonly maximum: number;
}

/** Every method throws Problem `not_found`, `invalid_path` for a path that is not there, or not the caller's. */
export interface FilesystemPort {
  stat(principal: Principal, path: string): Promise<StoredFile>;
  /** What lies directly in a directory, by name; `after`: only names beyond this path. */
  list(
    principal: Principal,
    path: string,
    query: { readonly limit: number; readonly after?: string },
  ): Promise<readonly StoredFile[]>;
  read(principal: Principal, path: string, moment: FileMoment): Promise<ReadFile>;
  /** @throws Problem `version_conflict`, `forbidden`, `invalid_request` */
  commit(principal: Principal, request: CommitFilesRequest): Promise<FileCommit>;
  /** Files whose path below `path` matches, newest first. */
  find(principal: Principal, path: string, glob: string, maximum: number): Promise<readonly StoredFile[]>;
  search(principal: Principal, search: FileSearch): Promise<FileMatches>;
  /** A tar archive of everything below a path. */
  export(principal: Principal, path: string): Promise<ReadableStream<Uint8Array>>;
}

const tag = "Files";
const root = "/v1/x/filesystem";
export const filePath = z.string().min(1).max(4_096);
const whole = z.coerce.number<string>().int().min(0).max(Number.MAX_SAFE_INTEGER).optional();
const mostMatches = 1_000;
/** A binary file of 10 MB, written in base64, and then some. */
const largestCommitBytes = 32 * 1024 * 1024;

const momentQuery = {
  version: whole,
  revision: whole,
  at: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .optional(),
};

/** @example momentOf({ version: 3 }) // { version: 3 } */
function momentOf(query: {
  readonly version?: number | undefined;
  readonly revision?: number | undefined;
  readonly at?: Date | undefined;
}): FileMoment {
  return {
    ...(query.version === undefined ? {} : { version: query.version }),
    ...(query.revision === undefined ? {} : { revision: query.revision }),
    ...(query.at === undefined ? {} : { at: query.at }),
  };
}

export function addFilesystemRoutes(context: RouteContext, files: FilesystemPort): void {
  addReadingRoutes(context, files);
  addSearchRoutes(context, files);
  addRoute(
    context,
    {
      method: "post",
      path: `${root}/commit`,
      summary: "Change stored files, all of them or none",
      tag,
      body: commitFilesRequest,
      maximumBodyBytes: largestCommitBytes,
      answer: fileCommit,
    },
    ({ principal, body }) => files.commit(principal, body),
  );
}

function addReadingRoutes(context: RouteContext, files: FilesystemPort): void {
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/entry`,
      summary: "Retrieve what is known of a stored file or a directory",
      tag,
      query: z.strictObject({ path: filePath }),
      answer: storedFile,
    },
    ({ principal, query }) => files.stat(principal, query.path),
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/entries`,
      summary: "List a directory of stored files",
      tag,
      query: z.strictObject({ path: filePath, limit, page: z.string().max(4_096).optional() }),
      answer: storedFilePage,
    },
    async ({ principal, query: { path, limit: size = 1_000, page } }) => {
      const after = page === undefined ? {} : { after: page };
      const data = await files.list(principal, path, { limit: size + 1, ...after });
      const shown = data.slice(0, size);
      return { data: [...shown], next_page: data.length > size ? (shown.at(-1)?.path ?? null) : null };
    },
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/content`,
      summary: "Read a stored file, as it is or as it was",
      tag,
      query: z.strictObject({ path: filePath, ...momentQuery }),
      answer: commandOutput,
      stream: "application/octet-stream",
    },
    async ({ principal, query }) => {
      const { bytes, version, sha256 } = await files.read(principal, query.path, momentOf(query));
      return new Response(Uint8Array.from(bytes), {
        headers: {
          "content-type": "application/octet-stream",
          // What a model wrote is shown by no browser as a page of this server.
          "content-disposition": "attachment",
          "x-content-type-options": "nosniff",
          etag: `"${sha256}"`,
          "x-exoloop-version": String(version),
        },
      });
    },
  );
}

function addSearchRoutes(context: RouteContext, files: FilesystemPort): void {
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/find`,
      summary: "Find stored files by their paths",
      tag,
      query: z.strictObject({ path: filePath, glob: z.string().min(1).max(500), limit }),
      answer: storedFilePage,
    },
    async ({ principal, query: { path, glob, limit: maximum = mostMatches } }) => ({
      data: [...(await files.find(principal, path, glob, maximum))],
      next_page: null,
    }),
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/search`,
      summary: "Search the text of stored files",
      tag,
      query: z.strictObject({
        path: filePath,
        pattern: z.string().min(1).max(1_000),
        glob: z.string().min(1).max(500).optional(),
        ignore_case: flag,
        limit,
      }),
      answer: fileMatches,
    },
    ({ principal, query: { path, pattern, glob, ignore_case: ignoreCase = false, limit: maximum = mostMatches } }) =>
      files.search(principal, { path, pattern, ignoreCase, maximum, ...(glob === undefined ? {} : { glob }) }),
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${root}/export`,
      summary: "Download everything below a path as a tar archive",
      tag,
      query: z.strictObject({ path: filePath }),
      answer: commandOutput,
      stream: "application/octet-stream",
    },
    async ({ principal, query }) =>
      new Response(await files.export(principal, query.path), {
        headers: {
          "content-type": "application/x-tar",
          "content-disposition": `attachment; filename="files.tar"`,
          "x-content-type-options": "nosniff",
        },
      }),
  );
}
