/** One command of a sandbox in memory, from its start to its exit. @module */
import { SandboxFileError } from "../../errors.ts";
import type { CommandExit, CommandScope, SpawnOptions, TerminalSize } from "../../session.ts";
import { type InputQueue, createInputQueue } from "./input-queue.ts";
import { KilledError, type Machine, type MemoryProcess } from "./machine.ts";
import { type OutputLog, createOutputLog } from "./output-log.ts";
import { type ListItem, ShellSyntaxError, parseShell } from "./shell-parser.ts";
import { type ShellSetting, runShell } from "./shell.ts";
import type { FileTree } from "./tree.ts";

/** As in a kernel: one argument (MAX_ARG_STRLEN), less the terminating NUL. */
export const commandLimit = 131_071;

export interface CommandPlace {
  readonly machine: Machine;
  readonly tree: FileTree;
  readonly environment: Readonly<Record<string, string>>;
  /** Before each verb: rejects when the sandbox is gone. */
  readonly enter: (verb: string) => Promise<void>;
  /** Rejects when the sandbox is destroyed. */
  readonly gone: Promise<never>;
}

export interface RunningCommand {
  readonly commandId: string;
  readonly scope: CommandScope;
  readonly startedAt: number;
  readonly log: OutputLog;
  readonly stdin: InputQueue;
  readonly exit: Promise<CommandExit>;
  /** Null while it runs. */
  readonly ended: CommandExit | null;
  resize(size: TerminalSize): void;
}

function checkSize({ rows, columns }: TerminalSize): void {
  if (![rows, columns].every((count) => Number.isInteger(count) && count >= 1 && count <= 1000))
    throw new SandboxFileError("failed", "terminal", "a terminal has 1 to 1000 rows and columns");
}

function parse(command: string, complain: (text: string) => void): readonly ListItem[] | null {
  try {
    return parseShell(command);
  } catch (error) {
    if (!(error instanceof ShellSyntaxError)) throw error;
    complain(`the sandbox in memory has only a part of bash: ${error.message}\n`);
    return null;
  }
}

function environmentOf(place: CommandPlace, options: SpawnOptions): ReadonlyMap<string, string> {
  const own = { PATH: "/usr/bin:/bin", HOME: "/workspace", WORKSPACE: "/workspace" };
  return new Map(Object.entries({ ...own, ...place.environment, ...options.environment }));
}

async function execute(
  setting: ShellSetting,
  leader: MemoryProcess,
  options: SpawnOptions,
  environment: ReadonlyMap<string, string>,
): Promise<CommandExit> {
  const complain = (text: string): void => setting.write("stderr", Buffer.from(text));
  const items = parse(options.command, complain);
  if (items === null) return { type: "exited", code: 2 };
  const directory = options.workingDirectory ?? "/workspace";
  if (setting.tree.lookup(directory, { follow: true }).node?.kind !== "directory") {
    complain(`${directory}: No such directory\n`);
    return { type: "exited", code: 126 };
  }
  return { type: "exited", code: await runShell(setting, leader, items, environment, directory) };
}

/** How it ended, a signal included. */
async function settle(running: Promise<CommandExit>): Promise<CommandExit> {
  try {
    return await running;
  } catch (error) {
    if (error instanceof KilledError) return { type: "signalled", signal: error.signal };
    return { type: "unknown", reason: error instanceof Error ? error.message : "it failed" };
  }
}

export function startCommand(place: CommandPlace, options: SpawnOptions, commandId: string): RunningCommand {
  const { machine, tree } = place;
  const scope = options.scope ?? "workload";
  if (options.terminal !== undefined) checkSize(options.terminal);
  let terminal = options.terminal ?? null;
  const log = createOutputLog();
  const stdin = createInputQueue();
  const write: ShellSetting["write"] = (stream, bytes) => log.write(terminal === null ? stream : "stdout", bytes);
  const leader = machine.start("bash", { commandId, isMaintenance: scope === "maintenance" });
  let timedOut = false;
  let ended: CommandExit | null = null;
  const expire = (): void => {
    timedOut = true;
    machine.signalGroup(commandId, 9);
  };
  const timeout = options.timeoutMs === undefined ? undefined : setTimeout(expire, options.timeoutMs);
  const finish = async (): Promise<CommandExit> => {
    const setting = { machine, tree, stdin, write, terminal: () => terminal };
    const exit = await settle(execute(setting, leader, options, environmentOf(place, options)));
    clearTimeout(timeout);
    machine.end(leader);
    stdin.abandon();
    log.end();
    ended = timedOut ? { type: "timed_out" } : exit;
    return ended;
  };
  return {
    commandId,
    scope,
    startedAt: Date.now(),
    log,
    stdin,
    exit: finish(),
    get ended() {
      return ended;
    },
    resize(size) {
      checkSize(size);
      if (terminal === null) throw new SandboxFileError("failed", "terminal", "the command has no terminal");
      terminal = size;
    },
  };
}
