/**
 * What the router mounts: one interface for files that live in Postgres and files that live in a sandbox. Paths are
 * absolute, normalised (files/path.ts) and include the mount's prefix.
 * @module
 */

/** Who changes a file, written into its history. */
export interface FileActor {
  readonly organizationId: string;
  readonly sessionId: string | null;
  readonly toolUseId: string | null;
  readonly via: "tool" | "bash" | "api" | "import";
}

export type FileErrorCode =
  | "not_found"
  | "is_directory"
  | "not_directory"
  | "read_only"
  | "conflict"
  | "not_unique"
  | "no_match"
  | "binary"
  | "too_large"
  | "invalid_path"
  | "path_conflict"
  | "no_permission"
  | "failed";

/** Shown to the model as the tool's error: one sentence, what and what to do. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly code: FileErrorCode;
  constructor(code: FileErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface FileContent {
  readonly bytes: Uint8Array;
  /** Changes with every change of the file; null where the store has no versions. */
  readonly version: string | null;
}

export interface WriteResult {
  readonly created: boolean;
  readonly version: string | null;
  readonly bytes: number;
}

export interface FileMatch {
  readonly path: string;
  readonly modifiedAt: number;
}

export interface GrepRequest {
  readonly pattern: string;
  readonly path: string;
  readonly glob?: string;
  readonly ignoreCase: boolean;
  readonly maximumMatches: number;
}

export interface GrepMatch {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly text: string;
}

export interface FileStore {
  read(path: string): Promise<FileContent>;
  /** `expectedVersion`: null means "must not exist"; undefined means "whatever is there". */
  write(path: string, bytes: Uint8Array, actor: FileActor, expectedVersion?: string | null): Promise<WriteResult>;
  /** Replaces text; the old text is the precondition and is checked under the lock. */
  edit(
    path: string,
    change: { readonly oldText: string; readonly newText: string; readonly all: boolean },
    actor: FileActor,
  ): Promise<WriteResult & { readonly replacements: number }>;
  remove(path: string, actor: FileActor): Promise<void>;
  /** Files below `path` whose path relative to it matches, newest first. */
  glob(path: string, pattern: string, maximum: number): Promise<readonly FileMatch[]>;
  grep(request: GrepRequest): Promise<readonly GrepMatch[]>;
}
