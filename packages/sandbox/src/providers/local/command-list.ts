/** What the supervisor tells of its commands and processes. @module */
import type { CommandExit, CommandScope, CommandSummary, ProcessSummary } from "../../session.ts";
import { FrameError } from "./frames.ts";

const states = { running: 0, exited: 1, signalled: 2, timedOut: 3 } as const;
const headBytes = 17;
const summaryBytes = 26;
const maximumProcesses = 1_000;

export interface CommandState {
  readonly scope: CommandScope;
  /** Null: it runs. */
  readonly exit: CommandExit | null;
  /** Of its leader; its session has the same number. */
  readonly pid: number;
  /** Milliseconds, by the clock of the sandbox. */
  readonly startedAt: number;
  readonly outputBytes: number;
}

function toExit(state: number, value: number): CommandExit | null {
  if (state === states.running) return null;
  if (state === states.exited) return { type: "exited", code: value };
  if (state === states.signalled) return { type: "signalled", signal: value };
  if (state === states.timedOut) return { type: "timed_out" };
  return { type: "unknown", reason: `the sandbox reported a command of state ${state}` };
}

/** `u8 maintenance, u8 state, i32 exit code or signal, i32 pid, i64 start, u64 bytes of output` at `at`. @throws FrameError */
export function parseState(bytes: Buffer, at = 0): CommandState {
  if (bytes.length < at + summaryBytes) throw new FrameError("the sandbox sent a malformed command");
  return {
    scope: bytes.readUInt8(at) === 1 ? "maintenance" : "workload",
    exit: toExit(bytes.readUInt8(at + 1), bytes.readInt32LE(at + 2)),
    pid: bytes.readInt32LE(at + 6),
    startedAt: Number(bytes.readBigInt64LE(at + 10)),
    outputBytes: Number(bytes.readBigUInt64LE(at + 18)),
  };
}

function readText(bytes: Buffer, at: number): { readonly text: string; readonly next: number } {
  const end = bytes.indexOf(0, at);
  if (end < 0) throw new FrameError("the sandbox sent a malformed list");
  return { text: bytes.subarray(at, end).toString("utf8"), next: end + 1 };
}

export interface KnownCommand extends CommandSummary {
  /** Of its leader; its session has the same number. */
  readonly pid: number;
}

export interface CommandList {
  /** By signals. */
  readonly suspended: boolean;
  /** Pids of the supervisor, and of the process that waits to become the next command (0: none). */
  readonly supervisor: number;
  readonly candidate: number;
  /** Oldest first. */
  readonly commands: readonly KnownCommand[];
}

/**
 * `u8 suspended, i32 supervisor, i32 candidate, i64 now`, then of each command its state and identifier, the latest first.
 * @throws FrameError
 */
export function parseCommandList(bytes: Buffer): CommandList {
  if (bytes.length < headBytes) throw new FrameError("the sandbox sent a malformed list");
  const now = Number(bytes.readBigInt64LE(9));
  const commands: KnownCommand[] = [];
  for (let at = headBytes; at < bytes.length;) {
    const { startedAt, ...state } = parseState(bytes, at);
    const { text, next } = readText(bytes, at + summaryBytes);
    commands.push({ commandId: text, ...state, ageMs: now - startedAt });
    at = next;
  }
  const [supervisor, candidate] = [bytes.readInt32LE(1), bytes.readInt32LE(5)];
  return { suspended: bytes[0] === 1, supervisor, candidate, commands: commands.toReversed() };
}

interface KernelProcess {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
  readonly session: number;
}

/** A line of /proc/PID/stat. The name is whatever the process wants, parentheses too. */
function parseStat(text: string): KernelProcess | null {
  const [open, close] = [text.indexOf("("), text.lastIndexOf(")")];
  const [state, parent, , session] = text.slice(close + 2).split(" ");
  if (open < 0 || close < open || state === undefined || state === "Z" || state === "X") return null;
  const name = text.slice(open + 1, close);
  return { pid: Number.parseInt(text, 10), name, parent: Number(parent), session: Number(session) };
}

/** `text`: the stat lines of all processes, each with a NUL behind it. */
export function toProcessList(text: string, known: CommandList): ProcessSummary[] {
  const processes = new Map<number, KernelProcess>();
  for (const line of text.split("\0")) {
    const process = parseStat(line.trim());
    if (process !== null) processes.set(process.pid, process);
  }
  const leaders = new Map(known.commands.map((command) => [command.pid, command]));
  const listed: ProcessSummary[] = [];
  for (const process of processes.values()) {
    let command: KnownCommand | undefined;
    let below = false;
    let ancestor: KernelProcess | undefined = process;
    for (let step = 0; ancestor !== undefined && step < processes.size && !below; step++) {
      command ??= leaders.get(ancestor.session);
      below = ancestor.parent === known.supervisor;
      ancestor = processes.get(ancestor.parent);
    }
    // What is in the supervisor's session serves connections: every command has its own.
    const ours = process.session === processes.get(known.supervisor)?.session || process.pid === known.candidate;
    if (!below || ours || command?.scope === "maintenance" || listed.length >= maximumProcesses) continue;
    listed.push({ pid: process.pid, commandId: command?.commandId ?? null, name: process.name });
  }
  return listed;
}
