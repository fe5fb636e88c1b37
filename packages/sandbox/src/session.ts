/**
 * The session half of the contract: files and processes inside one sandbox. It has the shape of AI SDK 7's sandbox
 * session, so that tools written for one run on the other; what it adds stands below.
 * @module
 */

export type CommandExit =
  | { readonly type: "exited"; readonly code: number }
  | { readonly type: "signalled"; readonly signal: number }
  | { readonly type: "timed_out" }
  /** The sandbox lost the command's end. Never reported as success. */
  | { readonly type: "unknown"; readonly reason: string };

export interface CommandOutputChunk {
  /** A terminal's output is all `stdout`. */
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
  /** Bytes before these that the sandbox no longer has: its log keeps a command's latest 16 MiB. Absent: none. */
  readonly missingBytes?: number;
}

export interface TerminalSize {
  /** 1 to 1000. */
  readonly rows: number;
  readonly columns: number;
}

export type CommandScope = "workload" | "maintenance";

export interface SpawnOptions {
  readonly command: string;
  /** Identifier under which the command can be joined again. Unique within the sandbox. Random when absent. */
  readonly commandId?: string;
  readonly workingDirectory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Bytes fed to standard input, which is then closed. `open`: it stays open for {@link SandboxProcess.writeStdin}.
   * Absent: standard input is empty.
   */
  readonly stdin?: ReadableStream<Uint8Array> | Uint8Array | "open";
  /** Runs on a terminal of this size, with standard input open. Needs the capability `terminal`. */
  readonly terminal?: TerminalSize;
  /** The whole process group is killed after this many milliseconds. */
  readonly timeoutMs?: number;
  /** Kills the whole process group. */
  readonly abortSignal?: AbortSignal;
  /**
   * Where the command runs. `workload` (default) is stopped while the sandbox is suspended; `maintenance` is not: it is
   * for our own commands.
   */
  readonly scope?: CommandScope;
}

export interface SandboxProcess {
  readonly commandId: string;
  /** Both streams in the order in which they arrived. Ends when the command has exited and its output is drained. */
  readonly output: AsyncIterable<CommandOutputChunk>;
  wait(): Promise<CommandExit>;
  /** SIGTERM to the process group, SIGKILL half a second later: an interrupt is answered within a second. */
  kill(): Promise<void>;
  /** Sends a signal (its number, 1 to 64) to the process group. False: it has ended. */
  signal(signal: number): Promise<boolean>;
  /** Resolves when the sandbox has taken the bytes: a command that does not read holds the writer back. False: closed. */
  writeStdin(bytes: Uint8Array): Promise<boolean>;
  /** On a terminal: end of file, as Ctrl-D at the start of a line. */
  closeStdin(): Promise<void>;
  /** @throws SandboxFileError `failed` when it does not run on a terminal. */
  resizeTerminal(size: TerminalSize): Promise<void>;
}

/** A command that the sandbox knows. */
export interface CommandSummary {
  readonly commandId: string;
  readonly scope: CommandScope;
  /** Null while it runs. */
  readonly exit: CommandExit | null;
  /** Milliseconds since it started. */
  readonly ageMs: number;
  /** Bytes that it has written, kept or not. */
  readonly outputBytes: number;
}

/** A living process of the workload. */
export interface ProcessSummary {
  readonly pid: number;
  /** The command that started it, also when that has ended; null when it is not known any more. */
  readonly commandId: string | null;
  /** At most 15 bytes, chosen by the process itself: hostile text. */
  readonly name: string;
}

export interface FileStat {
  readonly kind: "file" | "directory" | "other";
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly modifiedAt: Date;
}

export type EntryKind = "file" | "directory" | "symlink" | "other";

export interface DirectoryEntry {
  readonly name: string;
  readonly kind: EntryKind;
}

/** One entry of a scan. `fingerprint` changes whenever content, size, mode or inode change (ctime cannot be forged). */
export interface TreeEntry {
  /** Absolute path inside the sandbox. */
  readonly path: string;
  readonly kind: EntryKind;
  readonly size: number;
  /** Bytes that it takes up on the disk; less than `size` for a file with holes. */
  readonly allocatedBytes: number;
  readonly mode: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
  readonly fingerprint: string;
  /** Where a symbolic link points, as it is written; null for everything else. */
  readonly linkTarget: string | null;
}

/** What {@link SandboxSession.surveyTree} saw. */
export interface TreeSurvey {
  /** The same for as long as every path and every entry's own fingerprint is the same; another one may say nothing. */
  readonly fingerprint: string;
  /** As {@link SandboxSession.listTree} tells them. They are taken apart only here: who knows the tree need not. */
  entries(): readonly TreeEntry[];
}

/** A stretch of a file: bytes, or a hole, which reads as zeros and takes no room. */
export type FilePiece = Uint8Array | { readonly holeBytes: number };

/** What {@link SandboxSession.fetchFiles} tells, file after file, in the order asked for. */
export type FetchedPart =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "piece"; readonly piece: FilePiece }
  /** The file is whole: its size and checksum are as the sandbox said. */
  | { readonly type: "end"; readonly size: number }
  /** Instead of `file` or `end`: what came of this file is void. `absent`: it does not exist. */
  | {
      readonly type: "refused";
      readonly path: string;
      readonly reason: "absent" | "not_regular" | "no_permission" | "failed";
    };

/** What {@link SandboxSession.placeEntries} puts at a path, replacing what is there but a directory's content. */
export type PlacedEntry =
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly mode: number;
      /** Milliseconds since the epoch; now when absent. */
      readonly modifiedAt?: number;
      readonly content: Uint8Array | AsyncIterable<FilePiece>;
    };

export interface PathOptions {
  /** Absolute path inside the sandbox. */
  readonly path: string;
}

/** Both directions of a connection to a port. Cancelling either, or closing `writable` and reading to the end, ends it. */
export interface PortConnection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** Files and processes. All paths are absolute paths inside the sandbox and are resolved inside it. */
export interface SandboxSession {
  /** Told to the model: where it is and what there is. */
  readonly description: string;
  /**
   * Null when the file does not exist. The stream errors when size or checksum are not what the sandbox announced.
   * @throws SandboxFileError for a directory, a special file, or no permission.
   */
  readFile(options: PathOptions): Promise<ReadableStream<Uint8Array> | null>;
  /** @throws SandboxFileError `too_large` when the file has more than `maximumBytes`. */
  readBinaryFile(options: PathOptions & { readonly maximumBytes?: number }): Promise<Uint8Array | null>;
  /** Creates parent directories. Atomic: written beside the target, verified, then renamed. */
  writeFile(
    options: PathOptions & { readonly content: ReadableStream<Uint8Array>; readonly mode?: number },
  ): Promise<void>;
  writeBinaryFile(options: PathOptions & { readonly content: Uint8Array; readonly mode?: number }): Promise<void>;
  /** Follows symbolic links. Null when the path does not exist. */
  stat(options: PathOptions): Promise<FileStat | null>;
  /** Null when the directory does not exist. */
  listDirectory(options: PathOptions): Promise<readonly DirectoryEntry[] | null>;
  /**
   * Every entry below a directory, links not followed, in no particular order; empty when it does not exist.
   * At most `maximumEntries` (default 200,000), else SandboxFileError `too_large`.
   */
  listTree(options: PathOptions & { readonly maximumEntries?: number }): Promise<readonly TreeEntry[]>;
  /**
   * One walk for two questions: whether anything has changed since an earlier one, and if so, what there is.
   * @example (await session.surveyTree({ path: "/memory" })).fingerprint === earlier
   */
  surveyTree(options: PathOptions & { readonly maximumEntries?: number }): Promise<TreeSurvey>;
  /**
   * Single entries of a listing, many in one exchange, in the order asked for. Null: nothing is there, or it is a link,
   * or lies beyond one.
   */
  inspectEntries(options: { readonly paths: readonly string[] }): Promise<readonly (TreeEntry | null)[]>;
  /**
   * A listing of any number of entries, some at a time, a directory before what is in it. Reads no faster than it is
   * iterated. When it throws, there is more than what has come.
   */
  scanTree(options: PathOptions): AsyncIterable<readonly TreeEntry[]>;
  /**
   * Many files in one exchange, whatever their permissions, links not followed. Reads no faster than it is iterated.
   * A file that changes under it is told as it is then.
   */
  fetchFiles(options: { readonly paths: readonly string[] }): AsyncIterable<FetchedPart>;
  /**
   * Many entries in one exchange, in the order given; parent directories are made as needed. Not atomic as a whole; each
   * file is. No link in a path is followed.
   * @throws SandboxFileError at the first that could not be placed; those before it are.
   */
  placeEntries(options: { readonly entries: Iterable<PlacedEntry> | AsyncIterable<PlacedEntry> }): Promise<void>;
  /** False when it does not exist. Deletes a link itself, never its target. */
  deleteFile(options: PathOptions & { readonly recursive?: boolean }): Promise<boolean>;
  spawn(options: SpawnOptions): Promise<SandboxProcess>;
  /**
   * Joins a command again, also after it exited, as long as the sandbox lives. `byteOffset` counts bytes of the joined
   * output already received. Null when the sandbox never saw this command.
   */
  attachCommand(options: { readonly commandId: string; readonly byteOffset: number }): Promise<SandboxProcess | null>;
  /** The latest commands, running or not, oldest first. */
  listCommands(): Promise<readonly CommandSummary[]>;
  /** The workload's living processes, stopped or not; at most 1,000. */
  listProcesses(): Promise<readonly ProcessSummary[]>;
  run(options: SpawnOptions): Promise<{ exit: CommandExit; stdout: string; stderr: string }>;
  /**
   * Connects to a TCP port on the sandbox's own loopback interface. Null: nobody listens there.
   * Needs the capability `ports`.
   */
  connectPort(options: { readonly port: number }): Promise<PortConnection | null>;
}
