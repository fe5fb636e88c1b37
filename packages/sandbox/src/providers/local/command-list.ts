/** What the supervisor tells of its commands and processes. @module */
import type { CommandExit, CommandSummary, ProcessSummary } from "../../session.ts";
import { FrameError } from "./frames.ts";

const exitKinds = { running: 0, exited: 1, signalled: 2, timedOut: 3 } as const;
const summaryBytes = 22;

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

export interface CommandList {
  /** By signals. */
  readonly suspended: boolean;
  readonly commands: readonly CommandSummary[];
}

/** @throws FrameError */
export function parseCommandList(bytes: Buffer): CommandList {
  const commands: CommandSummary[] = [];
  for (let at = 1; at < bytes.length;) {
    if (at + summaryBytes > bytes.length) throw new FrameError("the sandbox sent a malformed list");
    const { text, next } = readText(bytes, at + summaryBytes);
    commands.push({
      commandId: text,
      scope: bytes.readUInt8(at) === 1 ? "maintenance" : "workload",
      exit: parseExit(bytes, at + 1),
      ageMs: Number(bytes.readBigUInt64LE(at + 6)),
      outputBytes: Number(bytes.readBigUInt64LE(at + 14)),
    });
    at = next;
  }
  return { suspended: bytes[0] === 1, commands };
}

/** @throws FrameError */
export function parseProcessList(bytes: Buffer): ProcessSummary[] {
  const processes: ProcessSummary[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) throw new FrameError("the sandbox sent a malformed list");
    const name = readText(bytes, at + 4);
    const commandId = readText(bytes, name.next);
    const pid = bytes.readUInt32LE(at);
    processes.push({ pid, name: name.text, commandId: commandId.text === "" ? null : commandId.text });
    at = commandId.next;
  }
  return processes;
}
