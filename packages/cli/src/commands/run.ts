/** `exoloop run "<task>"`: one session for one task, shown until it waits. @module */
import { readFile } from "node:fs/promises";
import type { Api, Named, NewSession } from "../api.ts";
import { type CommandContext, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeToLine } from "../render/escape.ts";
import { createSink, describeEnding, exitCodeOf, followSession } from "./follow.ts";

export interface RunOptions {
  readonly agent?: string;
  readonly model?: string;
  readonly env?: string;
  readonly json?: boolean;
  /** A file: the task is an outcome that is reached when it meets what the file says. */
  readonly rubric?: string;
  readonly maxIterations?: number;
  /** A snapshot that the workspace begins with. */
  readonly fromSnapshot?: string;
}

/** Agent and environment that `run` makes for itself when none is named. */
const defaultName = "default";
const defaultSystem =
  "You are a careful engineer. You work in /workspace with the tools you have, and you check what you did before you say that it is done.";

export async function runTask(context: CommandContext, task: string, options: RunOptions): Promise<ExitCode> {
  if (task.trim() === "") throw new CommandError("The task is empty.", exitCodes.usage);
  const rubric = await readRubric(options);
  const api = await context.connect();
  // The agent that `run` makes follows the server's default: it may be older than the server's keys.
  const model = options.model ?? (options.agent === undefined ? await api.defaultModel() : undefined);
  const agent = await findAgent(api, options.agent, model);
  const environment = await findEnvironment(api, options.env);
  const session = await api.createSession({
    agentId: agent.id,
    environmentId: environment.id,
    title: escapeToLine(task).slice(0, 100),
    message: task,
    ...(rubric === null ? {} : { rubric }),
    ...(model === undefined ? {} : { model }),
    ...(options.fromSnapshot === undefined ? {} : { workspaceSnapshot: options.fromSnapshot }),
  });
  writeLine(context.progress, `session ${session.id}, model ${escapeToLine(session.agent.model.id)}`);
  const sink = createSink(context, options.json === true);
  // The session's first idle is the end of this task: its log began with the message.
  const exitCode = await followSession(context, api, session.id, sink, exitCodeOf);
  const ending = describeEnding(session.id, exitCode);
  if (ending !== null) writeLine(context.progress, ending);
  return exitCode;
}

/** @throws CommandError when the file cannot be read or is empty, before anything is asked of the server. */
async function readRubric({ rubric, maxIterations }: RunOptions): Promise<NonNullable<NewSession["rubric"]> | null> {
  if (rubric === undefined) {
    if (maxIterations === undefined) return null;
    throw new CommandError("--max-iterations is for outcomes: name a rubric with --rubric.", exitCodes.usage);
  }
  const text = await readFile(rubric, "utf8").catch(() => {
    throw new CommandError(`The rubric ${rubric} cannot be read.`, exitCodes.usage);
  });
  if (text.trim() === "") throw new CommandError(`The rubric ${rubric} is empty.`, exitCodes.usage);
  return { text, ...(maxIterations === undefined ? {} : { maximumIterations: maxIterations }) };
}

/** Without a name it is the agent that `run` makes, of `model`. */
export async function findAgent(api: Api, named: string | undefined, model: string | undefined): Promise<Named> {
  const agents = await api.agents();
  if (named !== undefined || model === undefined) return choose(agents, named ?? defaultName, "agent");
  const existing = agents.find((agent) => agent.name === defaultName);
  return existing ?? api.createAgent({ name: defaultName, model, system: defaultSystem });
}

export async function findEnvironment(api: Api, named: string | undefined): Promise<Named> {
  const environments = await api.environments();
  if (named !== undefined) return choose(environments, named, "environment");
  return environments.find((environment) => environment.name === defaultName) ?? api.createEnvironment(defaultName);
}

/**
 * By id, else by name.
 * @throws CommandError when nothing or more than one thing has this name.
 */
export function choose(
  candidates: readonly Named[],
  wanted: string,
  kind: "agent" | "environment" | "deployment",
): Named {
  const byId = candidates.find((candidate) => candidate.id === wanted);
  if (byId !== undefined) return byId;
  const [first, ...more] = candidates.filter((candidate) => candidate.name === wanted);
  if (first === undefined) throw new CommandError(`No ${kind} has the id or name ${wanted}.`, exitCodes.notFound);
  if (more.length > 0) {
    const ids = [first, ...more].map((candidate) => candidate.id).join(", ");
    throw new CommandError(
      `More than one ${kind} has the name ${wanted}: name one by its id (${ids}).`,
      exitCodes.usage,
    );
  }
  return first;
}
