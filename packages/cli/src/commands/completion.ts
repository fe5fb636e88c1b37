/** Shell completion: the script, and what it asks for at each Tab (session identifiers included). @module */
import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { escapeToLine } from "../render/escape.ts";

/** Sub-commands of `sessions` that take a session. */
const takingSession = ["show", "attach", "stop"] as const;

/** Tab is pressed by someone who waits. */
const completionMilliseconds = 800;

/**
 * Adds `completion <shell>` and the hidden `complete -- …` that its script calls. Session identifiers are asked for
 * only where one can stand; without a server there are none, and nothing is said.
 */
export async function addCompletion(
  program: Command,
  context: CommandContext,
  arguments_: readonly string[],
): Promise<void> {
  const root = tab(program, { completionCommandName: "completion" });
  const sessions = wantsSessions(arguments_) ? await recentSessions(context) : [];
  for (const name of takingSession) {
    const command = root.commands.get(`sessions ${name}`);
    command?.argument("session", (complete) => {
      for (const [id, title] of sessions) complete(id, title);
    });
  }
}

/** @example wantsSessions(["complete", "--", "sessions", "attach", ""]) // true */
export function wantsSessions(arguments_: readonly string[]): boolean {
  const [complete, separator, first, second] = arguments_;
  return (
    complete === "complete" &&
    separator === "--" &&
    first === "sessions" &&
    takingSession.some((name) => name === second)
  );
}

async function recentSessions(context: CommandContext): Promise<readonly (readonly [string, string])[]> {
  try {
    const api = await context.connect();
    const listed = api.sessions({ limit: 50 });
    const nothing = new Promise<readonly never[]>((resolve) => {
      setTimeout(() => resolve([]), completionMilliseconds).unref();
    });
    const sessions = await Promise.race([listed, nothing]);
    return sessions.map(
      ({ id, status, title }) => [escapeToLine(id), escapeToLine(`${status} ${title ?? ""}`)] as const,
    );
  } catch {
    return [];
  }
}
