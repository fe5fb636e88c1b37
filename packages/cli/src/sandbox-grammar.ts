/** The grammar of `exoloop sandbox`. @module */
import type { SignalName } from "@exoloop/protocol/commands";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { LogsOptions, PreviewOptions } from "./commands/sandboxes.ts";
import type { Grammar } from "./deployment-grammar.ts";

interface JsonOption {
  readonly json?: boolean;
}

// Written again, so that help and completion load nothing of the protocol.
const signals: readonly SignalName[] = [
  "SIGTERM",
  "SIGKILL",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGSTOP",
  "SIGCONT",
];

const load = () => import("./commands/sandboxes.ts");

/** @example readWhole("A port", 1, 65_535)("3000") // 3000 */
function readWhole(what: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`${what} is a number from ${least} to ${most}.`);
  };
}

export function addSandbox({ program, context, finish, json }: Grammar): void {
  const sandbox = program
    .command("sandbox")
    .description("look at sessions' sandboxes and at what runs in them, end them, move them, open their ports");
  sandbox
    .command("list")
    .description("list sandboxes, last used first")
    .addOption(json())
    .action(async (options: JsonOption) => finish(await (await load()).listSandboxes(context, options)));
  ofSession(sandbox, "status", "show a session's sandbox: where it is, what it can do, what keeps it awake")
    .addOption(json())
    .action(async (session: string, options: JsonOption) =>
      finish(await (await load()).showSandbox(context, session, options)),
    );
  ofSession(sandbox, "kill", "destroy it; the next command gets another one, with the last snapshot's workspace")
    .addOption(json())
    .action(async (session: string, options: JsonOption) =>
      finish(await (await load()).killSandbox(context, session, options)),
    );
  ofSession(sandbox, "move", "move a session to another provider: its workspace goes along, processes do not")
    .argument("<provider>", "`status` names those that there are")
    .addOption(json())
    .action(async (session: string, provider: string, options: JsonOption) =>
      finish(await (await load()).moveSandbox(context, session, provider, options)),
    );
  addCommands({ sandbox, context, finish, json });
  ofSession(sandbox, "preview", "make an address to a port; whoever has it reaches the port")
    .argument("<port>", "that something in the sandbox listens on", readWhole("A port", 1, 65_535))
    .option("--seconds <number>", "until it expires; 3600 unless given", readWhole("A time", 1, 86_400))
    .addOption(json())
    .action(async (session: string, port: number, options: PreviewOptions) =>
      finish(await (await load()).previewPort(context, session, port, options)),
    );
}

type Parts = Pick<Grammar, "context" | "finish" | "json"> & { readonly sandbox: Command };

function addCommands({ sandbox, context, finish, json }: Parts): void {
  ofSession(sandbox, "commands", "list a session's background commands, oldest first")
    .addOption(json())
    .action(async (session: string, options: JsonOption) =>
      finish(await (await load()).listCommands(context, session, options)),
    );
  ofSession(sandbox, "logs", "print what a background command has written")
    .argument("[command]", "the latest unless given")
    .option("-f, --follow", "go on until it ends; Ctrl-C stops looking, not the command")
    .addOption(new Option("--offset <bytes>", "where to begin").argParser(readWhole("An offset", 0, 2 ** 53 - 1)))
    .option("--raw", "escape nothing: a terminal obeys what the command prints")
    .action(async (session: string, command: string | undefined, options: LogsOptions) =>
      finish(await (await load()).printLogs(context, session, command, options)),
    );
  ofSession(sandbox, "signal", "send a background command a signal")
    .argument("<command>")
    .addOption(new Option("--signal <name>", "which").choices(signals).default("SIGTERM"))
    .addOption(json())
    .action(async (session: string, command: string, options: JsonOption & { readonly signal: SignalName }) =>
      finish(await (await load()).signalCommand(context, session, command, options)),
    );
  ofSession(sandbox, "lease", "let a background command keep its sandbox awake for so long from now on")
    .argument("<command>")
    .argument("<seconds>", "up to 21600", readWhole("A time", 1, 21_600))
    .addOption(json())
    .action(async (session: string, command: string, seconds: number, options: JsonOption) =>
      finish(await (await load()).renewLease(context, session, { command, seconds }, options)),
    );
}

function ofSession(sandbox: Command, verb: string, description: string): Command {
  return sandbox.command(verb).description(description).argument("<session>");
}
