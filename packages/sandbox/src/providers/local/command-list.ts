/** What the supervisor tells of its commands and processes. @module */
import type { CommandExit, CommandSummary, ProcessSummary } from "../../session.ts";
import { FrameError } from "./frames.ts";

const exitKinds = { running: 0, exited: 1, signalled: 2, timedOut: 3 } as const;
const headBytes = 9;
const summaryBytes = 26;
const maximumProcesses = 1_000;

/** `u8 kind, i32 value` at `at`. Null: it runs. */
export function parseExit(payload: Buffer, at = 0): CommandExit | null {
  if (payload.length < at + 5) throw new FrameError("the sandbox sent a malformed exit");
  const kind = payload.readUInt8(at);
  const value = payload.readInt32LE(at + 1);
  if (kind === exitKinds.running) return null;
  if (kind === exitKinds.exited) return { type: "exited", code: value };
  if (kind === exitKinds.signalled) return { type: "signalled", signal: value };
  if (kind === exitKinds.timedOut) return { type: "timed_out" };
  return { type: "unknown", reason: `the sandbox reported an exit of kind ${kind}` };
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

/** @throws FrameError */
export function parseCommandList(bytes: Buffer): CommandList {
  if (bytes.length < headBytes) throw new FrameError("the sandbox sent a malformed list");
  const commands: KnownCommand[] = [];
  for (let at = headBytes; at < bytes.length;) {
    if (at + summaryBytes > bytes.length) throw new FrameError("the sandbox sent a malformed list");
    const { text, next } = readText(bytes, at + summaryBytes);
    commands.push({
      commandId: text,
      scope: bytes.readUInt8(at) === 1 ? "maintenance" : "workload",
      exit: parseExit(bytes, at + 1),
      pid: bytes.readInt32LE(at + 6),
      ageMs: Number(bytes.readBigUInt64LE(at + 10)),
      outputBytes: Number(bytes.readBigUInt64LE(at + 18)),
    });
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
    const ours = process.pid === known.supervisor || process.pid === known.candidate;
    if (!below || ours || command?.scope === "maintenance" || listed.length >= maximumProcesses) continue;
    listed.push({ pid: process.pid, commandId: command?.commandId ?? null, name: process.name });
  }
  return listed;
}
