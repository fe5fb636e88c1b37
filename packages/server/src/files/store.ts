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
  readonly via: "tool" | "bash" | "api" | "import" | "undo" | "promotion";
  /** The person for whom the session works, or who calls the API; absent or null: nobody in particular. */
  readonly userId?: string | null;
  /** With which the API was called. */
  readonly apiKeyId?: string | null;
  /** What it writes may come from content that nobody vouches for. */
  readonly untrusted?: boolean;
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
  | "invalid_skill"
  | "failed";

/** Shown to the model as the tool's error: one sentence, what and what to do. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly code: FileErrorCode;
  /** Of a commit that was refused: what is in the way, or cannot be stored. */
  readonly path: string | undefined;
  constructor(code: FileErrorCode, message: string, path?: string) {
    super(message);
    this.code = code;
    this.path = path;
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

/**
 * A search for lines. Everything means what it does in ripgrep, wherever the files live.
 * @example { pattern: "TODO", path: "/memory", ignoreCase: false, before: 1, maximumMatches: 250 }
 */
export interface GrepRequest {
  readonly pattern: string;
  /** A file, or a directory whose files are all searched. */
  readonly path: string;
  /** Only files that match; without a slash at any depth. A leading `!` leaves out what matches. */
  readonly glob?: string;
  /** Only files of a language, by ripgrep's name for it, such as `ts` or `py`. */
  readonly fileType?: string;
  readonly ignoreCase: boolean;
  /** A match may go over several lines, and `.` matches a line feed too. Default false. */
  readonly multiline?: boolean;
  /** What is wanted: each line, only which files match, or how many lines match in each. Default `lines`. */
  readonly mode?: "lines" | "files" | "counts";
  /** Lines shown before and after each match, in mode `lines`. Default 0. */
  readonly before?: number;
  readonly after?: number;
  /** Lines that match, without those around them; in the other modes files. */
  readonly maximumMatches: number;
}

export interface GrepLine {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly text: string;
  /** It does not match itself: it stands before or after one that does. */
  readonly isContext: boolean;
}

export interface GrepFile {
  readonly path: string;
  /** Lines that match; 1 in mode `files`, which does not look for more. */
  readonly count: number;
}

export interface GrepResult {
  /** In order of paths and lines, each line once; a gap in the numbers is where lines were left out. Mode `lines`. */
  readonly lines: readonly GrepLine[];
  /** In order of paths. Modes `files` and `counts`. */
  readonly files: readonly GrepFile[];
  /** Why there may be more than this: `maximumMatches` were found, or it took too long. Null: this is all. */
  readonly stopped: "maximum" | "time" | null;
}

export const nothingFound: GrepResult = { lines: [], files: [], stopped: null };

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
  /** @throws FileError `failed` when the pattern, the glob or the type cannot be used */
  grep(request: GrepRequest): Promise<GrepResult>;
}

export interface FileStatus {
  readonly path: string;
  /** `other`: a link or a special file, which only a sandbox has. */
  readonly kind: "file" | "directory" | "other";
  /** Bytes; zero for what is no file. */
  readonly size: number;
  readonly executable: boolean;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
}

/** Directories, and names as things of their own. Paths as in {@link FileStore}. */
export interface DirectoryOperations {
  /** Null when nothing is there. */
  stat(path: string): Promise<FileStatus | null>;
  /** What lies directly in a directory, by name. */
  list(path: string, maximum: number): Promise<readonly FileStatus[]>;
  /** With its parents. A directory that exists is left as it is. */
  makeDirectory(path: string, actor: FileActor): Promise<void>;
  /** A file or a whole directory, within one store, in one commit. What is at `to` already is a `path_conflict`. */
  rename(from: string, to: string, actor: FileActor): Promise<void>;
  /** A directory with everything below it. */
  removeTree(path: string, actor: FileActor): Promise<{ readonly files: number }>;
}

/**
 * What becomes of some files, computed from what is there: path → new content, null deletes. A path that is left out
 * stays as it is. Pure, and may run more than once.
 */
export type FileTransformation = (before: ReadonlyMap<string, Uint8Array>) => ReadonlyMap<string, Uint8Array | null>;

/** Several files at once. */
export interface BatchOperations {
  /**
   * Stores with versions make all of it in one commit, with what is there under the lock. Others make one change after
   * the other, and the error of a failure in between says what was done. What `change` throws changes nothing.
   * @param paths All that `change` looks at or changes; files that do not exist are absent from what it is given.
   * @param movedFrom Where a file that is new comes from, which `change` deletes: it keeps what belongs to a file besides
   *   its content.
   */
  transform(
    paths: readonly string[],
    change: FileTransformation,
    actor: FileActor,
    movedFrom?: ReadonlyMap<string, string>,
  ): Promise<void>;
}
