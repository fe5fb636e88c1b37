/** What there is to know and to do about a session's commands, running or ended, without waking the sandbox. @module */
import type { CommandExit } from "@exoloop/sandbox/session";
import { findHeld } from "../life/acquire.ts";
import { extendLease } from "../life/leases.ts";
import type { SandboxDependencies } from "../held-sandbox.ts";
import { thaw } from "../use/thaw.ts";
import type { SandboxOwner } from "../workspace.ts";

export interface BackgroundCommand {
  readonly commandId: string;
  readonly command: string;
  readonly startedAt: Date;
  readonly until: Date;
  /**
   * `running`: it keeps the sandbox awake. `suspended`: its time was up, and it stands still until its lease is renewed
   * or another command runs. `ended`: see `exit`. `lost`: its sandbox is gone.
   */
  readonly state: "running" | "suspended" | "ended" | "lost";
  /** Null while it has not ended, and when it is lost. */
  readonly exit: CommandExit | null;
  /** Bytes that it has written. */
  readonly outputBytes: number;
}

export interface CommandOutput {
  readonly bytes: Uint8Array;
  /** Where `bytes` begins: later than asked for where the sandbox has no longer kept what was before. */
  readonly offset: number;
  readonly nextOffset: number;
  readonly exit: CommandExit | null;
}

const mostRead = 256 * 1024;

/** The background commands of the session, oldest first. */
export async function listCommands(
  dependencies: SandboxDependencies,
  owner: SandboxOwner,
): Promise<readonly BackgroundCommand[]> {
  const rows = await dependencies.database
    .selectFrom("sandbox_leases")
    .selectAll()
    .where("session_id", "=", owner.sessionId)
    .orderBy("started_at")
    .execute();
  if (rows.length === 0) return [];
  const held = await findHeld(dependencies, owner);
  const known = new Map((await held?.sandbox.session.listCommands())?.map((one) => [one.commandId, one]));
  return rows.map((row): BackgroundCommand => {
    const { command_id: commandId, command, started_at: startedAt, until } = row;
    const found = held?.generation === row.generation ? known.get(commandId) : undefined;
    const running = row.ended_at === null ? "running" : "suspended";
    const state = found === undefined ? "lost" : found.exit !== null ? "ended" : running;
    return {
      commandId,
      command,
      startedAt,
      until,
      state,
      exit: found?.exit ?? null,
      outputBytes: found?.outputBytes ?? 0,
    };
  });
}

/** What a command has written up to now, from a byte on, at most 256 KiB. Null when the sandbox does not know it. */
export async function readOutput(
  dependencies: SandboxDependencies,
  owner: SandboxOwner,
  commandId: string,
  offset: number,
): Promise<CommandOutput | null> {
  const held = await findHeld(dependencies, owner);
  const known = (await held?.sandbox.session.listCommands())?.find((one) => one.commandId === commandId);
  if (held === null || known === undefined) return null;
  const end = Math.min(known.outputBytes, offset + mostRead);
  const nothing = { bytes: new Uint8Array(), offset, nextOffset: offset, exit: known.exit };
  if (end <= offset) return nothing;
  const process = await held.sandbox.session.attachCommand({ commandId, byteOffset: offset });
  if (process === null) return null;
  const parts: Uint8Array[] = [];
  let [begin, at] = [offset, offset];
  for await (const { bytes, missingBytes = 0 } of process.output) {
    if (parts.length === 0) begin += missingBytes;
    // What is missing in the middle would make the offsets wrong: the next read begins after it.
    else if (missingBytes > 0) break;
    at += missingBytes + bytes.length;
    parts.push(bytes);
    if (at >= end) break;
  }
  const bytes = Buffer.concat(parts);
  return { bytes, offset: begin, nextOffset: begin + bytes.length, exit: known.exit };
}

/** To the command's process group; a number from 1 to 64. False: it has ended, or is not known. */
export async function signalCommand(
  dependencies: SandboxDependencies,
  owner: SandboxOwner,
  commandId: string,
  signal: number,
): Promise<boolean> {
  return withCommand(dependencies, owner, commandId, (process) => process.signal(signal));
}

/** SIGTERM, and SIGKILL half a second later. False: it has ended, or is not known. */
export async function killCommand(
  dependencies: SandboxDependencies,
  owner: SandboxOwner,
  commandId: string,
): Promise<boolean> {
  return withCommand(dependencies, owner, commandId, async (process) => {
    await process.kill();
    return true;
  });
}

async function withCommand(
  dependencies: SandboxDependencies,
  owner: SandboxOwner,
  commandId: string,
  act: (process: { kill(): Promise<void>; signal(signal: number): Promise<boolean> }) => Promise<boolean>,
): Promise<boolean> {
  const held = await findHeld(dependencies, owner);
  const known = (await held?.sandbox.session.listCommands())?.find((one) => one.commandId === commandId);
  if (held === null || known === undefined || known.exit !== null) return false;
  const process = await held.sandbox.session.attachCommand({ commandId, byteOffset: known.outputBytes });
  return process === null ? false : act(process);
}

/** So many seconds from now on; a command that stands still because its time was up goes on. Null when it has ended. */
export async function renewLease(
  dependencies: SandboxDependencies,
  owner: SandboxOwner,
  commandId: string,
  seconds: number,
): Promise<Date | null> {
  const until = await extendLease(dependencies, owner, commandId, seconds);
  if (until === null) return null;
  const held = await findHeld(dependencies, owner);
  if (held !== null) await thaw(dependencies, held);
  return until;
}
