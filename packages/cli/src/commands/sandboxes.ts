/** `exoloop sandbox list|status|kill|move|commands|logs|signal|lease|preview`. @module */
import type { SignalName } from "@exoloop/protocol/commands";
import type { BackgroundCommand, Sandbox, SessionSandbox } from "@exoloop/protocol/sandboxes";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeForTerminal, escapeToLine } from "../render/escape.ts";
import { tableLines } from "../render/table.ts";

interface JsonOption {
  readonly json?: boolean;
}

export interface LogsOptions {
  readonly follow?: boolean;
  readonly offset?: number;
  readonly raw?: boolean;
}

export interface PreviewOptions extends JsonOption {
  readonly seconds?: number;
}

const followMs = 500;

export async function listSandboxes(context: CommandContext, options: JsonOption): Promise<ExitCode> {
  const sandboxes = await (await context.connect()).sandboxes();
  if (options.json === true) writeJson(context.output, { data: sandboxes });
  else if (sandboxes.length === 0) writeLine(context.progress, "No session has used a sandbox yet.");
  else {
    const header = ["SESSION", "STATE", "PROVIDER", "GENERATION", "COMMANDS", "AWAKE"];
    for (const line of tableLines(header, sandboxes.map(sandboxRow), context)) writeLine(context.output, line);
  }
  return exitCodes.ok;
}

function sandboxRow({ session_id, state, provider, generation, commands, awake_seconds }: Sandbox): string[] {
  return [session_id, state, provider, String(generation), String(commands), `${awake_seconds.toFixed(1)} s`];
}

export async function showSandbox(context: CommandContext, session: string, options: JsonOption): Promise<ExitCode> {
  const sandbox = await (await context.connect()).sandbox(session);
  if (options.json === true) writeJson(context.output, sandbox);
  else for (const line of describeSandbox(sandbox)) writeLine(context.output, line);
  return exitCodes.ok;
}

/** Escaped lines of `name  value`. */
export function describeSandbox(sandbox: SessionSandbox): string[] {
  const { capabilities, limits, resume_ms: resume } = sandbox;
  const isolation =
    capabilities === null
      ? "this server does not have its provider"
      : `${capabilities.isolation}; stopped between commands by ${capabilities.suspend}; network: ${capabilities.network}`;
  const rows: readonly (readonly [string, string])[] = [
    ["session", sandbox.session_id],
    ["state", sandbox.state],
    ["sandbox", sandbox.sandbox_id ?? ""],
    ["provider", `${sandbox.provider} (of ${sandbox.providers.join(", ")})`],
    ["isolation", isolation],
    ["generation", `${sandbox.generation}, replaced ${sandbox.replacements} times`],
    ["commands", `${sandbox.commands}, awake ${sandbox.awake_seconds.toFixed(1)} s`],
    ["resume", resume.p50 === null ? "" : `median ${resume.p50.toFixed(1)} ms of the last ${resume.n}`],
    ["snapshot", sandbox.snapshot_at ?? "none"],
    ["limits", describeLimits(limits)],
    ...sandbox.leases.map(({ command_id, until }) => ["lease", `${command_id} until ${until}`] as const),
  ];
  return rows.filter(([, value]) => value !== "").map(([name, value]) => `${name.padEnd(10)} ${escapeToLine(value)}`);
}

function describeLimits(limits: SessionSandbox["limits"]): string {
  const megabytes = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MB`;
  const { memory_bytes: memory, disk_bytes: disk, processes, cpus, files } = limits;
  return `${megabytes(memory)} memory, ${cpus} cores, ${processes} processes, ${megabytes(disk)} and ${files} files`;
}

export async function killSandbox(context: CommandContext, session: string, options: JsonOption): Promise<ExitCode> {
  const answer = await (await context.connect()).killSandbox(session);
  if (options.json === true) writeJson(context.output, answer);
  else if (!answer.killed) writeLine(context.progress, "The session has no sandbox at the moment.");
  else writeLine(context.progress, "Killed. The next command gets another one, with the last snapshot's workspace.");
  return exitCodes.ok;
}

export async function moveSandbox(
  context: CommandContext,
  session: string,
  provider: string,
  options: JsonOption,
): Promise<ExitCode> {
  const moved = await (await context.connect()).moveSandbox(session, provider);
  if (options.json === true) writeJson(context.output, moved);
  else writeLine(context.progress, `The next command of this session runs with ${escapeToLine(moved.provider)}.`);
  return exitCodes.ok;
}

export async function listCommands(context: CommandContext, session: string, options: JsonOption): Promise<ExitCode> {
  const commands = await (await context.connect()).backgroundCommands(session);
  if (options.json === true) writeJson(context.output, { data: commands });
  else if (commands.length === 0) writeLine(context.progress, "No command has been started in the background.");
  else {
    const header = ["ID", "STATE", "UNTIL", "OUTPUT", "COMMAND"];
    for (const line of tableLines(header, commands.map(commandRow), context)) writeLine(context.output, line);
  }
  return exitCodes.ok;
}

/** Exported for its test. */
export function commandRow(command: BackgroundCommand): string[] {
  const { id, state, until, output_bytes: bytes, exit } = command;
  const end = exit === null ? state : describeExit(exit);
  return [id, end, state === "running" ? until.replace("T", " ").slice(0, 19) : "", `${bytes} B`, command.command];
}

function describeExit(exit: NonNullable<BackgroundCommand["exit"]>): string {
  if (exit.type === "exited") return `exit ${exit.code}`;
  return exit.type === "signalled" ? `signal ${exit.signal}` : exit.type.replace("_", " ");
}

export async function printLogs(
  context: CommandContext,
  session: string,
  command: string | undefined,
  { follow = false, offset = 0, raw = false }: LogsOptions,
): Promise<ExitCode> {
  const api = await context.connect();
  const id = command ?? (await api.backgroundCommands(session)).at(-1)?.id;
  if (id === undefined) throw new CommandError("The session has started no command in the background.");
  const stop = new AbortController();
  const release = context.onInterrupt(() => stop.abort());
  const decoder = new TextDecoder();
  const write = (text: string) => void (text !== "" && context.output.write(raw ? text : escapeForTerminal(text)));
  try {
    for (let from = offset; !stop.signal.aborted;) {
      const { bytes, offset: begin, nextOffset, state } = await api.commandOutput(session, id, from);
      if (begin > from) writeLine(context.progress, `[${begin - from} bytes are not kept any more]`);
      write(decoder.decode(bytes, { stream: true }));
      if (bytes.length === 0 && (!follow || state === "ended" || state === "lost")) break;
      if (bytes.length === 0) await pause(stop.signal);
      from = nextOffset;
    }
  } finally {
    release();
  }
  write(decoder.decode());
  return stop.signal.aborted ? exitCodes.detached : exitCodes.ok;
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, followMs);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

export async function signalCommand(
  context: CommandContext,
  session: string,
  command: string,
  options: JsonOption & { readonly signal: SignalName },
): Promise<ExitCode> {
  const answer = await (await context.connect()).signalCommand(session, command, options.signal);
  if (options.json === true) writeJson(context.output, answer);
  else writeLine(context.progress, answer.delivered ? `Sent ${options.signal}.` : "The command has ended.");
  return exitCodes.ok;
}

export async function renewLease(
  context: CommandContext,
  session: string,
  { command, seconds }: { readonly command: string; readonly seconds: number },
  options: JsonOption,
): Promise<ExitCode> {
  const renewed = await (await context.connect()).renewLease(session, command, seconds);
  if (options.json === true) writeJson(context.output, renewed);
  else writeLine(context.progress, `It may keep its sandbox awake until ${escapeToLine(renewed.until)}.`);
  return exitCodes.ok;
}

export async function previewPort(
  context: CommandContext,
  session: string,
  port: number,
  options: PreviewOptions,
): Promise<ExitCode> {
  const api = await context.connect();
  const { json, seconds } = options;
  const preview = await api.previewPort(session, { port, ...(seconds === undefined ? {} : { seconds }) });
  if (json === true) {
    writeJson(context.output, preview);
    return exitCodes.ok;
  }
  // The one to open in a browser: pages have an origin of their own there.
  writeLine(context.output, escapeToLine(preview.host_url ?? preview.url));
  if (preview.host_url !== null) writeLine(context.progress, `Without that name: ${escapeToLine(preview.url)}`);
  writeLine(context.progress, `Whoever has it reaches the port, until ${escapeToLine(preview.expires_at)}.`);
  return exitCodes.ok;
}
