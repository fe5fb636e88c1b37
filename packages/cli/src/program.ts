/** The command line's grammar. Commands are loaded when they run, so that help and completion are immediate. @module */
import { Command, InvalidArgumentError, Option } from "commander";
import { addDeployments } from "./deployment-grammar.ts";
import { addBudgets } from "./budget-grammar.ts";
import { addFiles } from "./file-grammar.ts";
import { addEnvironments } from "./environment-grammar.ts";
import { addSandbox } from "./sandbox-grammar.ts";
import { addUsers } from "./user-grammar.ts";
import { addSkills } from "./skill-grammar.ts";
import { addWebhooks } from "./webhook-grammar.ts";
import { limitUpTo } from "./limit.ts";
import { sessionStatuses, type SessionStatus } from "./session-statuses.ts";
import type { DemoOptions } from "./commands/demo.ts";
import type { DoctorOptions } from "./commands/doctor.ts";
import type { RunOptions } from "./commands/run.ts";
import type { UpOptions } from "./commands/up.ts";
import type { CommandContext } from "./context.ts";
import type { ExitCode } from "./exit-codes.ts";

type Finish = (exitCode: ExitCode) => void;

/**
 * @param finish takes the exit code of the command that ran.
 * Usage errors are thrown as commander's errors.
 */
export function createProgram(context: CommandContext, version: string, finish: Finish): Command {
  const program = new Command("exoloop")
    .description("A self-hosted backend for AI agents: the loop outside, the sandbox disposable.")
    .version(version, "-V, --version", "show the version")
    // Behind a command, `--version` is an option of that command.
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError("(exoloop --help shows what there is)")
    .configureOutput({
      writeOut: (text) => void context.output.write(text),
      writeErr: (text) => void context.progress.write(text),
    })
    .addHelpText("after", footer);
  addServerCommands(program, context, finish);
  addRun(program, context, finish);
  addSessions(program, context, finish);
  const grammar = { program, context, finish, json, readLimit };
  addDeployments(grammar);
  addBudgets(grammar);
  addSandbox(grammar);
  addWebhooks(grammar);
  addUsers(grammar);
  addEnvironments(grammar);
  addFiles(grammar);
  addSkills(grammar);
  return program;
}

const footer = `
Connection: EXOLOOP_URL and EXOLOOP_API_KEY, else what \`exoloop up\` left in its home.
Exit codes: 0 ok, 1 failure, 2 usage, 3 not let in, 4 not found, 5 waiting for approval, 6 budget used up, 130 detached.`;

/** There is no server in the background, and so no command that stops one. */
const stopping = `
It runs in the foreground: Ctrl-C or SIGTERM stops server, sandbox host and sandboxes; sessions go on with the next start.
The embedded Postgres stays for that start. To stop it too: kill -INT the number in the first line of
postgres/data-*/postmaster.pid, in the home.`;

const json = () => new Option("--json", "JSON on standard output, one object per line for streams");
const sandbox = (choices: readonly string[]) =>
  new Option(
    "--sandbox <kind>",
    "`weak` isolates less than namespaces do: for trying things out, and never chosen by itself",
  ).choices(choices);

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError("A port is a number from 0 to 65535; 0 takes a free one.");
  return port;
}

const readLimit = limitUpTo(100);

function readIterations(text: string): number {
  const iterations = Number(text);
  if (!/^\d+$/.test(text) || iterations < 1 || iterations > 20)
    throw new InvalidArgumentError("An outcome is judged 1 to 20 times.");
  return iterations;
}

function addServerCommands(program: Command, context: CommandContext, finish: Finish): void {
  program
    .command("up")
    .description("start the server, its database and its sandboxes on this machine")
    .option("--port <number>", "port to listen on", readPort)
    .option("--host <address>", "address to listen on")
    .addOption(sandbox(["auto", "weak", "none"]))
    .option("--home <directory>", "where everything is kept")
    .addOption(json())
    .addHelpText("after", stopping)
    .action(async (options: UpOptions) =>
      finish(await (await import("./commands/up.ts")).startServer(context, options)),
    );
  program
    .command("demo")
    .description("watch an agent repair a failing test while its sandbox is taken away")
    .option("--model <name>", "model to use instead of the one found")
    .addOption(sandbox(["auto", "weak"]))
    .option("--keep", "keep the server running afterwards, until Ctrl-C")
    .addOption(json())
    .action(async (options: DemoOptions) =>
      finish(await (await import("./commands/demo.ts")).runDemo(context, options)),
    );
  program
    .command("doctor")
    .description("say what this machine can isolate, what is missing, and how to mend it")
    .addOption(json())
    .action(async (options: DoctorOptions) =>
      finish(await (await import("./commands/doctor.ts")).diagnoseMachine(context, options)),
    );
}

function addRun(program: Command, context: CommandContext, finish: Finish): void {
  program
    .command("run")
    .description("give an agent a task and watch it; Ctrl-C detaches")
    .argument("<task>", "what is to be done")
    .option("--agent <id or name>", "agent to use instead of `default`")
    .option("--model <name>", "model to use instead of the agent's; without --agent the server's default")
    .option("--env <id or name>", "environment to use instead of `default`")
    .option("--rubric <file>", "the task is done when a second model call says that it meets this file")
    .option("--max-iterations <number>", "how often it is judged at most; 3 unless given", readIterations)
    .option("--from-snapshot <snapshot>", "the workspace begins as this one, of any session")
    .addOption(json())
    .action(async (task: string, options: RunOptions) =>
      finish(await (await import("./commands/run.ts")).runTask(context, task, options)),
    );
}

function addSessions(program: Command, context: CommandContext, finish: Finish): void {
  const sessions = program.command("sessions").description("look at sessions and talk to them");
  sessions
    .command("list")
    .description("list sessions, newest first")
    .option("--limit <number>", "how many", readLimit, 20)
    .addOption(new Option("--status <status>", "only these").choices(sessionStatuses))
    .addOption(json())
    .action(async (options: { limit: number; status?: SessionStatus; json?: boolean }) =>
      finish(await (await import("./commands/sessions.ts")).listSessions(context, options)),
    );
  sessions
    .command("show")
    .description("show a session and its transcript")
    .argument("<session>")
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      finish(await (await import("./commands/sessions.ts")).showSession(context, id, options)),
    );
  sessions
    .command("attach")
    .description("follow a session live and send it messages; Ctrl-C detaches")
    .argument("<session>")
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      finish(await (await import("./commands/attach.ts")).attachSession(context, id, options)),
    );
  sessions
    .command("send")
    .description("send a session a message, without following it")
    .argument("<session>")
    .argument("<message>")
    .option("--queue", "to be heard when what runs has ended, instead of at its next step")
    .addOption(json())
    .action(async (id: string, message: string, options: { queue?: boolean; json?: boolean }) =>
      finish(await (await import("./commands/sessions.ts")).sendMessage(context, id, message, options)),
    );
  sessions
    .command("threads")
    .description("list a session's threads: the agents that work for it")
    .argument("<session>")
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      finish(await (await import("./commands/sessions.ts")).listThreads(context, id, options)),
    );
  addSnapshots(sessions, context, finish);
  addShare(sessions, context, finish);
  sessions
    .command("stop")
    .description("interrupt what a session is doing")
    .argument("<session>")
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      finish(await (await import("./commands/sessions.ts")).stopSession(context, id, options)),
    );
}

function addSnapshots(sessions: Command, context: CommandContext, finish: Finish): void {
  sessions
    .command("snapshots")
    .description("list the snapshots of a session's workspace, newest first")
    .argument("<session>")
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      finish(await (await import("./commands/snapshots.ts")).listSnapshots(context, id, options)),
    );
}

function addShare(sessions: Command, context: CommandContext, finish: Finish): void {
  sessions
    .command("share")
    .description("show a private session to the whole organization, for good")
    .argument("<session>")
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      finish(await (await import("./commands/share.ts")).shareSession(context, id, options)),
    );
}
