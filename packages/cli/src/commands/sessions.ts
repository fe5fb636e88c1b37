/** `exoloop sessions list|show|send|threads|stop`. @module */
import type { Session, SessionStatus } from "@exoloop/protocol/sessions";
import type { SessionThread } from "@exoloop/protocol/threads";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { queuedMessage, userMessage } from "../api.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { describeAmount, describeLimits } from "../render/budget.ts";
import { escapeToLine } from "../render/escape.ts";
import { createNarrator } from "../render/narrator.ts";
import { tableLines } from "../render/table.ts";

export interface ListOptions {
  readonly limit: number;
  readonly status?: SessionStatus;
  readonly json?: boolean;
}

export async function listSessions(context: CommandContext, options: ListOptions): Promise<ExitCode> {
  const api = await context.connect();
  const sessions = await api.sessions({
    limit: options.limit,
    ...(options.status === undefined ? {} : { status: options.status }),
  });
  if (options.json === true) {
    writeJson(context.output, { data: sessions });
    return exitCodes.ok;
  }
  if (sessions.length === 0) writeLine(context.progress, 'No sessions. Start one: exoloop run "<task>"');
  else for (const line of tableOf(sessions, context)) writeLine(context.output, line);
  return exitCodes.ok;
}

function tableOf(sessions: readonly Session[], context: CommandContext): string[] {
  const rows = sessions.map((session) => [
    session.id,
    session.status,
    session.x_exoloop.sandbox?.state ?? "none",
    session.created_at.replace("T", " ").slice(0, 16),
    session.agent.name,
    session.title ?? "",
  ]);
  return tableLines(["ID", "STATUS", "SANDBOX", "CREATED", "AGENT", "TITLE"], rows, context);
}

export async function showSession(
  context: CommandContext,
  id: string,
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const api = await context.connect();
  const session = await api.session(id);
  if (options.json === true) {
    writeJson(context.output, session);
    return exitCodes.ok;
  }
  for (const line of describeSession(session)) writeLine(context.output, line);
  writeLine(context.output, "");
  const narrator = createNarrator({ terminal: context });
  for await (const event of api.history(id)) narrator.tell(event);
  narrator.close();
  return exitCodes.ok;
}

/** Escaped lines of `name  value`. */
export function describeSession(session: Session): string[] {
  const { usage } = session;
  const { sandbox, budget } = session.x_exoloop;
  const { cost_usd: cost, steps, wall_seconds: running } = budget.used;
  const rows: readonly (readonly [string, string])[] = [
    ["session", session.id],
    ["status", session.status],
    ["title", session.title ?? ""],
    ["agent", `${session.agent.name} (${session.agent.model.id})`],
    ["created", session.created_at],
    ["tokens", `${usage.input_tokens} in, ${usage.output_tokens} out, ${usage.cache_read_input_tokens} from cache`],
    ["used", [`${steps} steps`, describeAmount("cost_usd", cost), describeAmount("wall_seconds", running)].join(", ")],
    ["budget", describeLimits(budget.limits, budget.used) + (budget.reached === null ? "" : " (reached)")],
    [
      "sandbox",
      sandbox === null
        ? "none"
        : `${sandbox.state}, generation ${sandbox.generation}, ${sandbox.commands} commands, awake ${sandbox.awake_seconds.toFixed(1)} s`,
    ],
  ];
  return rows.filter(([, value]) => value !== "").map(([name, value]) => `${name.padEnd(8)} ${escapeToLine(value)}`);
}

export async function sendMessage(
  context: CommandContext,
  id: string,
  message: string,
  options: { readonly queue?: boolean; readonly json?: boolean },
): Promise<ExitCode> {
  if (message.trim() === "") throw new CommandError("The message is empty.", exitCodes.usage);
  const api = await context.connect();
  await api.send(id, [options.queue === true ? queuedMessage(message) : userMessage(message)]);
  if (options.json === true) writeJson(context.output, { id, sent: true });
  else writeLine(context.progress, `Sent. Follow it: exoloop sessions attach ${escapeToLine(id)}`);
  return exitCodes.ok;
}

export async function stopSession(
  context: CommandContext,
  id: string,
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const api = await context.connect();
  await api.send(id, [{ type: "user.interrupt" }]);
  if (options.json === true) writeJson(context.output, { id, interrupted: true });
  else
    writeLine(
      context.progress,
      `Asked ${escapeToLine(id)} to stop. It keeps its workspace and takes further messages.`,
    );
  return exitCodes.ok;
}

export async function listThreads(
  context: CommandContext,
  id: string,
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const api = await context.connect();
  const threads: SessionThread[] = [];
  for await (const thread of api.threads(id)) threads.push(thread);
  if (options.json === true) {
    writeJson(context.output, { data: threads });
    return exitCodes.ok;
  }
  const rows = threads.map(({ id: threadId, status, agent, stats, usage, parent_thread_id }) => [
    threadId,
    status,
    parent_thread_id === null ? `${agent.name} (the session itself)` : agent.name,
    stats === null ? "" : `${stats.active_seconds.toFixed(1)} s`,
    usage === null ? "" : `${usage.input_tokens} in, ${usage.output_tokens} out`,
  ]);
  for (const line of tableLines(["ID", "STATUS", "AGENT", "ACTIVE", "TOKENS"], rows, context)) {
    writeLine(context.output, line);
  }
  return exitCodes.ok;
}
