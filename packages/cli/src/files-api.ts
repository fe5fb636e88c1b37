/** What the commands need of a server's stored files, in the protocol's words. @module */
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

/** Which state of a file: at most one of them, the present one without any. */
export interface FileMoment {
  readonly version?: number;
  readonly revision?: number;
  readonly at?: Date;
}

interface HistoryQuery {
  readonly limit: number;
  readonly path?: string;
  readonly session_id?: string;
  readonly tool_use_id?: string;
}

export interface FilesApi {
  /** A file or a directory. */
  file(path: string): Promise<StoredFile>;
  /** All that lies directly in a directory, by name. */
  directory(path: string): AsyncIterable<StoredFile>;
  /** Files below a path whose path relative to it matches, newest first. */
  findFiles(path: string, glob: string, limit: number): Promise<readonly StoredFile[]>;
  readStoredFile(path: string, moment?: FileMoment): Promise<{ readonly bytes: Uint8Array; readonly version: number }>;
  commitFiles(request: CommitFilesRequest): Promise<FileCommit>;
  searchFiles(
    path: string,
    pattern: string,
    options: { readonly glob?: string; readonly ignore_case?: boolean; readonly limit: number },
  ): Promise<FileMatches>;
  exportFiles(path: string): Promise<ReadableStream<Uint8Array>>;
  /** Newest first. */
  fileVersions(query: HistoryQuery): Promise<readonly FileVersion[]>;
  fileDifference(path: string, between: { readonly from?: number; readonly to?: number }): Promise<FileDifference>;
  restoreFiles(request: RestoreFilesRequest): Promise<FileRestoration>;
  undoFiles(request: UndoFilesRequest): Promise<FileRestoration>;
  vouchForFile(request: VouchForFileRequest): Promise<StoredFile>;
  redactVersion(id: string): Promise<FileVersion>;
  /** Newest first. */
  fileConflicts(query: { readonly limit: number; readonly resolved: boolean }): Promise<readonly FileConflict[]>;
  conflictContent(id: string): Promise<Uint8Array>;
  resolveConflict(id: string, keep: "head" | "kept"): Promise<FileConflict>;
}
