/** The command verbs of a sandbox in memory. @module */
import { randomUUID } from "node:crypto";
import { SandboxFileError } from "../../errors.ts";
import type { CommandExit, CommandOutputChunk, SandboxProcess, SandboxSession, SpawnOptions } from "../../session.ts";
import { type CommandPlace, type RunningCommand, commandLimit, startCommand } from "./running-command.ts";

type CommandVerbs = Pick<SandboxSession, "spawn" | "attachCommand" | "listCommands" | "listProcesses" | "run">;

/** SIGKILL follows SIGTERM after this. */
const graceMs = 500;

async function feed(command: RunningCommand, stdin: NonNullable<SpawnOptions["stdin"]>): Promise<void> {
  if (stdin === "open") return;
  if (stdin instanceof Uint8Array) await command.stdin.write(stdin);
  else for await (const bytes of stdin) if (!(await command.stdin.write(bytes))) break;
  command.stdin.close();
}

function checkSpawn(options: SpawnOptions): void {
  if (Buffer.byteLength(options.command) > commandLimit)
    throw new SandboxFileError("too_large", "command", `a command has at most ${commandLimit} bytes`);
  const { commandId } = options;
  if (commandId !== undefined && (commandId === "" || Buffer.byteLength(commandId) > 256))
    throw new SandboxFileError("failed", "command", "a command identifier has 1 to 256 bytes");
  if (options.command.includes("\0")) throw new SandboxFileError("failed", "command", "a command holds a NUL");
  for (const [name, value] of Object.entries(options.environment ?? {}))
    if (name === "" || name.includes("=") || `${name}${value}`.includes("\0"))
      throw new SandboxFileError("failed", "command", "an environment variable is malformed");
}

/** A handle on a command, new or joined. */
function joinCommand(place: CommandPlace, command: RunningCommand, byteOffset: number): SandboxProcess {
  const { machine, gone } = place;
  const { commandId } = command;
  const raced = async (): Promise<CommandExit> => Promise.race([command.exit, gone]);
  async function* output(): AsyncGenerator<CommandOutputChunk> {
    const chunks = command.log.read(byteOffset)[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([chunks.next(), gone]);
      if (next.done === true) return;
      yield next.value;
    }
  }
  return {
    commandId,
    output: output(),
    wait: raced,
    async kill() {
      await place.enter("kill");
      if (command.ended !== null) return;
      machine.signalGroup(commandId, 15);
      const timer = setTimeout(() => machine.signalGroup(commandId, 9), graceMs);
      void command.exit.then(() => clearTimeout(timer));
    },
    async signal(signal) {
      await place.enter("signal");
      if (!Number.isInteger(signal) || signal < 1 || signal > 64)
        throw new SandboxFileError("failed", "signal", "a signal is a number from 1 to 64");
      return command.ended === null && machine.signalGroup(commandId, signal);
    },
    async writeStdin(bytes) {
      await place.enter("writeStdin");
      return Promise.race([command.stdin.write(bytes), gone]);
    },
    async closeStdin() {
      await place.enter("closeStdin");
      command.stdin.close();
    },
    async resizeTerminal(size) {
      await place.enter("resizeTerminal");
      command.resize(size);
    },
  };
}

async function collect(process: SandboxProcess): Promise<{ stdout: string; stderr: string }> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream, bytes, missingBytes } of process.output) {
    if (missingBytes !== undefined) parts.stderr.push(Buffer.from(`\n[${missingBytes} bytes are missing here]\n`));
    parts[stream].push(bytes);
  }
  return { stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString() };
}

export function createCommandVerbs(place: CommandPlace): CommandVerbs & { running(): readonly string[] } {
  const commands = new Map<string, RunningCommand>();
  const spawn: CommandVerbs["spawn"] = async (options) => {
    await place.enter("spawn");
    checkSpawn(options);
    const commandId = options.commandId ?? randomUUID();
    let command = commands.get(commandId);
    if (command === undefined) {
      command = startCommand(place, options, commandId);
      commands.set(commandId, command);
      if (options.stdin !== undefined) void feed(command, options.stdin).catch(() => command?.stdin.close());
      else if (options.terminal === undefined) command.stdin.close();
    }
    const process = joinCommand(place, command, 0);
    const abort = (): void => void process.kill().catch(() => {});
    if (options.abortSignal?.aborted === true) abort();
    options.abortSignal?.addEventListener("abort", abort, { once: true });
    return process;
  };
  return {
    spawn,
    async attachCommand({ commandId, byteOffset }) {
      await place.enter("attachCommand");
      const command = commands.get(commandId);
      return command === undefined ? null : joinCommand(place, command, byteOffset);
    },
    async listCommands() {
      await place.enter("listCommands");
      return [...commands.values()].map(({ commandId, scope, ended, startedAt, log }) => ({
        commandId,
        scope,
        exit: ended,
        ageMs: Date.now() - startedAt,
        outputBytes: log.total,
      }));
    },
    async listProcesses() {
      await place.enter("listProcesses");
      return place.machine
        .living()
        .filter(({ isMaintenance }) => !isMaintenance)
        .slice(0, 1000)
        .map(({ pid, commandId, name }) => ({ pid, commandId, name }));
    },
    async run(options) {
      const process = await spawn(options);
      const [exit, output] = await Promise.all([process.wait(), collect(process)]);
      return { exit, ...output };
    },
    running: () =>
      [...commands.values()]
        .filter(({ ended, scope }) => ended === null && scope === "workload")
        .map(({ commandId }) => commandId),
  };
}
