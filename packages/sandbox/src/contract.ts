/**
 * The sandbox contract. A provider makes disposable machines; a machine executes commands and file operations and
 * nothing else. The session half has the shape of AI SDK 7's sandbox session, so that tools written for one run on
 * the other; the lifecycle half is ours.
 *
 * Every call on a sandbox may reject with {@link SandboxGoneError}: the caller then takes a new generation.
 * @module
 */

/** What a provider can do. An absent capability is declared here, never discovered by a caller at run time. */
export interface SandboxCapabilities {
  /** How the workload is stopped between commands. `none`: the sandbox keeps running. */
  readonly suspend: "cgroup-v2" | "cgroup-v1" | "signal" | "none";
  /** The workload is confined by namespaces and a system call filter; `weak` confines by user id and Landlock only. */
  readonly isolation: "namespaces" | "weak" | "virtual-machine";
  /** The sandbox runs under a host user id that nothing else on the machine has. */
  readonly ownUserId: boolean;
  /** Memory and process limits are enforced by the host. */
  readonly resourceLimits: boolean;
  /** Snapshots are taken from a stopped workload. False: they are best effort. */
  readonly consistentSnapshots: boolean;
  /** A running command can be joined again by its identifier and a byte offset. */
  readonly reattach: boolean;
}

export interface SandboxReference {
  readonly provider: string;
  /** Chosen by the caller before creation (the idempotency key): creating twice under one id yields one sandbox. */
  readonly id: string;
}

export interface SandboxResources {
  /** Bytes of memory for the workload. */
  readonly memoryBytes: number;
  readonly processes: number;
  /** Bytes that the workspace may hold, where the host can enforce it. */
  readonly diskBytes: number;
}

export interface CreateSandboxRequest {
  /** `sbx_…`. Idempotency key, and the name under which the sandbox is found again. */
  readonly id: string;
  readonly resources: SandboxResources;
  /** Environment of every command. Holds no secret. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface SandboxStatus {
  readonly id: string;
  readonly state: "awake" | "suspended";
  /** Commands that have started and not exited. */
  readonly runningCommands: readonly string[];
}

export interface SandboxProvider {
  readonly id: string;
  readonly capabilities: SandboxCapabilities;
  /** Creates the sandbox, or returns the one that exists under `request.id`. It starts suspended. */
  create(request: CreateSandboxRequest): Promise<Sandbox>;
  /** @throws SandboxGoneError when no such sandbox exists any more. */
  attach(reference: SandboxReference): Promise<Sandbox>;
  list(): Promise<readonly SandboxStatus[]>;
  close(): Promise<void>;
}

/** A duration that the provider measured itself, in milliseconds. */
export interface Timed {
  readonly milliseconds: number;
}

export interface Sandbox {
  readonly reference: SandboxReference;
  /** What tools get: files and processes, no lifecycle. */
  readonly session: SandboxSession;
  status(): Promise<SandboxStatus>;
  /** Stops the workload. File operations, captures and snapshots still work. Idempotent. */
  suspend(): Promise<Timed>;
  /** Lets the workload go on. Idempotent. */
  resume(): Promise<Timed>;
  /**
   * The workspace as an uncompressed tar stream. Two snapshots of an unchanged workspace are equal byte for byte.
   * Taken while suspended unless the provider declares `consistentSnapshots: false`.
   */
  snapshot(): Promise<ReadableStream<Uint8Array>>;
  /** Replaces the workspace's content by an archive of {@link snapshot}. Unpacked inside the sandbox, never outside. */
  restore(archive: ReadableStream<Uint8Array>): Promise<void>;
  /** Kills everything in it and removes every trace. Idempotent. */
  destroy(): Promise<void>;
}

export type CommandExit =
  | { readonly type: "exited"; readonly code: number }
  | { readonly type: "signalled"; readonly signal: number }
  | { readonly type: "timed_out" }
  /** The sandbox lost the command's end. Never reported as success. */
  | { readonly type: "unknown"; readonly reason: string };

export interface CommandOutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

export interface SpawnOptions {
  readonly command: string;
  /** Identifier under which the command can be joined again. Unique within the sandbox. Random when absent. */
  readonly commandId?: string;
  readonly workingDirectory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Bytes fed to standard input, which is then closed. Absent: standard input is empty. */
  readonly stdin?: ReadableStream<Uint8Array> | Uint8Array;
  /** The whole process group is killed after this many milliseconds. */
  readonly timeoutMs?: number;
  /** Kills the whole process group. */
  readonly abortSignal?: AbortSignal;
  /**
   * Where the command runs. `workload` (default) is stopped while the sandbox is suspended; `maintenance` is not: it is
   * for our own tar and scan commands.
   */
  readonly scope?: "workload" | "maintenance";
}

export interface SandboxProcess {
  readonly commandId: string;
  /** Both streams in the order in which they arrived. Ends when the command has exited and its output is drained. */
  readonly output: AsyncIterable<CommandOutputChunk>;
  wait(): Promise<CommandExit>;
  /** SIGTERM to the process group, SIGKILL half a second later: an interrupt is answered within a second. */
  kill(): Promise<void>;
}

export interface FileStat {
  readonly kind: "file" | "directory" | "other";
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly modifiedAt: Date;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly kind: "file" | "directory" | "symlink" | "other";
}

/** One entry of a scan. `fingerprint` changes whenever content, size, mode or inode change (ctime cannot be forged). */
export interface TreeEntry {
  /** Absolute path inside the sandbox. */
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "other";
  readonly size: number;
  readonly mode: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
  readonly fingerprint: string;
}

export interface PathOptions {
  /** Absolute path inside the sandbox. */
  readonly path: string;
}

/** Files and processes. All paths are absolute paths inside the sandbox and are resolved inside it. */
export interface SandboxSession {
  /** Told to the model: where it is and what there is. */
  readonly description: string;
  /** Null when the file does not exist. @throws SandboxFileError for a directory, a special file, or no permission. */
  readFile(options: PathOptions): Promise<ReadableStream<Uint8Array> | null>;
  /** @throws SandboxFileError `too_large` when the file has more than `maximumBytes`. */
  readBinaryFile(options: PathOptions & { readonly maximumBytes?: number }): Promise<Uint8Array | null>;
  /** Creates parent directories. Atomic: written beside the target, then renamed. */
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
  /** False when it does not exist. Deletes a link itself, never its target. */
  deleteFile(options: PathOptions & { readonly recursive?: boolean }): Promise<boolean>;
  spawn(options: SpawnOptions): Promise<SandboxProcess>;
  /**
   * Joins a command again, also after it exited, as long as the sandbox lives. `byteOffset` counts bytes of the joined
   * output already received. Null when the sandbox never saw this command.
   */
  attachCommand(options: { readonly commandId: string; readonly byteOffset: number }): Promise<SandboxProcess | null>;
  run(options: SpawnOptions): Promise<{ exit: CommandExit; stdout: string; stderr: string }>;
}
