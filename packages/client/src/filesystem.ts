/** Stored files: what lies below /skills and /memory, with its history. @module */
import type {
  CommitFilesRequest,
  FileCommit,
  FileConflict,
  FileDifference,
  FileMatches,
  FileRestoration,
  FileVersion,
  RestoreFilesRequest,
  StoredFile,
  UndoFilesRequest,
  VouchForFileRequest,
} from "@exoloop/protocol/filesystem";
import type { Page } from "@exoloop/protocol/pages";
import { readApiError } from "./api-error.ts";
import { type Query, segment, type Transport } from "./transport.ts";

/** Which state of a file: at most one of them, the present one without any. */
export interface FileMoment {
  readonly version?: number;
  readonly revision?: number;
  readonly at?: Date;
}

export interface FileContent {
  readonly bytes: Uint8Array;
  readonly version: number;
}

interface Paged {
  readonly limit?: number;
  readonly page?: string;
}

const root = "/v1/x/filesystem";

export function filesystemMethods(transport: Transport) {
  const get = <Answer>(path: string, query: object): Promise<Answer> =>
    transport.request<Answer>("GET", `${root}/${path}`, { query: { ...query } });
  return {
    /** What is known of a file or a directory. */
    retrieve: (path: string) => get<StoredFile>("entry", { path }),
    /** What lies directly in a directory, by name. */
    list: (path: string, parameters: Paged = {}) => get<Page<StoredFile>>("entries", { path, ...parameters }),
    async read(path: string, moment: FileMoment = {}): Promise<FileContent> {
      const response = await download(transport, "content", { path, ...moment });
      const version = Number(response.headers.get("x-exoloop-version"));
      return { bytes: new Uint8Array(await response.arrayBuffer()), version };
    },
    /** All changes or none. */
    commit: (request: CommitFilesRequest) => transport.request<FileCommit>("POST", `${root}/commit`, { body: request }),
    /** Files below `path` whose path matches, newest first. */
    find: (path: string, glob: string, parameters: { readonly limit?: number } = {}) =>
      get<Page<StoredFile>>("find", { path, glob, ...parameters }),
    search: (
      path: string,
      pattern: string,
      parameters: { readonly glob?: string; readonly ignore_case?: boolean; readonly limit?: number } = {},
    ) => get<FileMatches>("search", { path, pattern, ...parameters }),
    /** A tar archive of everything below a path. */
    async export(path: string): Promise<ReadableStream<Uint8Array>> {
      const { body } = await download(transport, "export", { path });
      return body ?? new ReadableStream({ start: (controller) => controller.close() });
    },
    /** Newest first. */
    versions: (
      parameters: Paged & { readonly path?: string; readonly session_id?: string; readonly tool_use_id?: string } = {},
    ) => get<Page<FileVersion>>("versions", parameters),
    diff: (path: string, between: { readonly from?: number; readonly to?: number } = {}) =>
      get<FileDifference>("diff", { path, ...between }),
    restore: (request: RestoreFilesRequest) =>
      transport.request<FileRestoration>("POST", `${root}/restore`, { body: request }),
    undo: (request: UndoFilesRequest) => transport.request<FileRestoration>("POST", `${root}/undo`, { body: request }),
    /** Takes the mark `untrusted` off this version of a file. */
    vouch: (request: VouchForFileRequest) => transport.request<StoredFile>("POST", `${root}/vouch`, { body: request }),
    /** The content of a version goes, its row stays. */
    redact: (versionId: string) =>
      transport.request<FileVersion>("POST", `${root}/versions/${segment(versionId)}/redact`),
    /** Texts that lost a race, newest first. */
    conflicts: (parameters: Paged & { readonly resolved?: boolean } = {}) =>
      get<Page<FileConflict>>("conflicts", parameters),
    async conflictContent(id: string): Promise<Uint8Array> {
      const response = await download(transport, `conflicts/${segment(id)}/content`, {});
      return new Uint8Array(await response.arrayBuffer());
    },
    /** `head`: what is there stays. `kept`: the text that lost becomes the new version. */
    resolveConflict: (id: string, keep: "head" | "kept") =>
      transport.request<FileConflict>("POST", `${root}/conflicts/${segment(id)}/resolve`, { body: { keep } }),
  };
}

async function download(transport: Transport, path: string, query: Query | object): Promise<Response> {
  const response = await transport.send("GET", `${root}/${path}`, { query: { ...query } });
  if (!response.ok) throw await readApiError(response);
  return response;
}
