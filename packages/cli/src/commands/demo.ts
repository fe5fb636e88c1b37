/** `exoloop demo`: everything, once, in a home of its own. @module */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunningExoloop } from "@exoloop/server/launch";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { runDemoOn } from "../demo/run-demo.ts";
import { type DemoReport, describeReport, shortcomings } from "../demo/report.ts";
import type { SeedFile } from "../demo/seed.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { readCredentials, serverEnvironment, writeCredentials } from "../home.ts";
import { escapeToLine } from "../render/escape.ts";
import { createNarrator } from "../render/narrator.ts";
import { colorsFor, type TerminalStream } from "../render/terminal.ts";

export interface DemoOptions {
  readonly json?: boolean;
  readonly model?: string;
  readonly sandbox?: "auto" | "weak";
  readonly keep?: boolean;
}

/** Milliseconds for the whole course. A script answers at once, a model does not. */
const deadlines = { scripted: 60_000, model: 300_000 } as const;

export async function runDemo(context: CommandContext, options: DemoOptions): Promise<ExitCode> {
  const startedAt = performance.now();
  const { startExoloop } = await import("@exoloop/server/launch");
  const stream = options.json === true ? context.progress : context.output;
  const home = join(context.home, "demo");
  const environment = {
    EXOLOOP_LOG_LEVEL: "error",
    ...serverEnvironment(context.environment),
    ...(options.model === undefined ? {} : { EXOLOOP_DEFAULT_MODEL: options.model }),
  };
  const interrupt = new AbortController();
  const stopListening = context.onInterrupt(() => interrupt.abort());
  try {
    const server = await startExoloop({
      environment,
      home,
      port: 0,
      fleeting: true,
      ...(options.sandbox === undefined ? {} : { sandbox: options.sandbox }),
    });
    try {
      const model = demoModel(server.model);
      writeLine(stream, describeModel(model, environment));
      if (options.sandbox === "weak") writeLine(stream, weakWarning);
      const keep = options.keep === true;
      const report = await playOn(context, {
        server,
        model,
        stream,
        startedAt,
        keep,
        interrupt: interrupt.signal,
      });
      const exitCode = conclude(context, report, options);
      if (keep) await keepRunning(context, server.url, home, interrupt.signal);
      return exitCode;
    } finally {
      if (interrupt.signal.aborted) writeLine(context.progress, "Stopping …");
      await server.stop();
    }
  } finally {
    stopListening();
    await leaveNothingRunning(home, environment);
  }
}

/** The server leaves its database running for the next start; a demo leaves nothing but its files. */
async function leaveNothingRunning(home: string, environment: CommandContext["environment"]): Promise<void> {
  if ((environment["DATABASE_URL"] ?? "") !== "") return;
  const { stopEmbeddedPostgres } = await import("@exoloop/server/db/embedded/supervisor");
  await stopEmbeddedPostgres({ directory: join(home, "postgres") });
}

const weakWarning =
  "WARNING: --sandbox weak. The agent's commands run without namespaces: do not let it touch anything you do not trust.";

/** Configuration that would have given a real model. */
const modelVariables = ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"] as const;

function isScripted(model: string): boolean {
  return model === "scripted" || model.startsWith("scripted/");
}

/** Where a script is to play the model, the demo brings its own. */
export function demoModel(model: string): string {
  return model === "scripted" ? "scripted/repair" : model;
}

/** The first line: who plays the model. */
export function describeModel(model: string, environment: CommandContext["environment"]): string {
  if (!isScripted(model)) return `Model: ${escapeToLine(model)}`;
  const asked = [...modelVariables, "EXOLOOP_DEFAULT_MODEL"].some((name) => (environment[name] ?? "") !== "");
  const reason = asked ? "asked for" : "no ANTHROPIC_API_KEY, OPENAI_API_KEY or OPENAI_BASE_URL was found";
  return `Model: scripted (${reason}): a script plays the model, everything else is real.`;
}

interface Performance {
  readonly server: RunningExoloop;
  readonly model: string;
  readonly stream: TerminalStream;
  readonly startedAt: number;
  readonly keep: boolean;
  readonly interrupt: AbortSignal;
}

async function playOn(context: CommandContext, performance_: Performance): Promise<DemoReport> {
  const { server, model, stream, startedAt, interrupt } = performance_;
  if (interrupt.aborted) throw new CommandError("Interrupted.", exitCodes.detached);
  const { sandbox } = server;
  if (sandbox === null)
    throw new CommandError("This machine's server has no local sandbox: `exoloop doctor` says what is missing.");
  const apiKey = await keyOf(server.home, server.url, server.firstAdminKey);
  const { connectTo } = await import("../connection.ts");
  const narrator = createNarrator({ terminal: context, stream });
  const milliseconds = isScripted(model) ? deadlines.scripted : deadlines.model;
  const deadline = AbortSignal.timeout(milliseconds);
  let sessionId: string | null = null;
  const course = runDemoOn({
    api: connectTo({ url: server.url, apiKey }),
    narrator,
    model,
    sandboxDirectory: sandbox.directory,
    importSkill: (name, files) => server.importSkill(name, textOf(files)),
    project: fileURLToPath(new URL("../demo/seed/project", import.meta.url)),
    skill: {
      name: "repair",
      directory: fileURLToPath(new URL("../demo/seed/skills/repair", import.meta.url)),
    },
    startedAt,
    keep: performance_.keep,
    signal: AbortSignal.any([deadline, interrupt]),
    onSession: (id) => (sessionId = id),
  });
  const ended = new Promise<never>((_resolve, reject) => {
    interrupt.addEventListener("abort", () => reject(new CommandError("Interrupted.", exitCodes.detached)));
    deadline.addEventListener("abort", () => reject(new CommandError(lateSentence(milliseconds, sessionId))));
  });
  try {
    return await Promise.race([course, ended]);
  } finally {
    // Whichever lost the race has nothing more to say.
    course.catch(() => undefined);
    ended.catch(() => undefined);
    narrator.close();
  }
}

function textOf(files: readonly SeedFile[]): Record<string, string> {
  return Object.fromEntries(files.map(({ path, content }) => [path, new TextDecoder().decode(content)]));
}

function lateSentence(milliseconds: number, sessionId: string | null): string {
  const where = sessionId === null ? "before it had a session" : `in session ${sessionId}`;
  return `The demo did not finish within ${milliseconds / 1000} s (${where}); the transcript above shows how far it came.`;
}

/** The demo's home is used again: its key was shown when it was first used, and kept there. */
async function keyOf(home: string, url: string, firstAdminKey: string | null): Promise<string> {
  const apiKey = firstAdminKey ?? (await readCredentials(home))?.apiKey;
  if (apiKey === undefined) throw new CommandError(`The demo's key is lost: delete ${home} and start the demo again.`);
  await writeCredentials(home, { url, apiKey });
  return apiKey;
}

function conclude(context: CommandContext, report: DemoReport, options: DemoOptions): ExitCode {
  if (options.json === true) writeJson(context.output, report);
  else {
    writeLine(context.output, "");
    for (const line of describeReport(report, colorsFor(context.output, context.environment)))
      writeLine(context.output, line);
  }
  const missing = shortcomings(report);
  for (const line of missing) writeLine(context.progress, line);
  return missing.length === 0 ? exitCodes.ok : exitCodes.failure;
}

async function keepRunning(context: CommandContext, url: string, home: string, interrupt: AbortSignal): Promise<void> {
  writeLine(context.progress, `The server stays at ${url} until Ctrl-C. In another terminal:`);
  writeLine(context.progress, `  EXOLOOP_HOME=${home} exoloop sessions list`);
  if (interrupt.aborted) return;
  await new Promise((resolve) => interrupt.addEventListener("abort", resolve));
}
