/** Shell completion: the script, and what it asks for at each Tab (identifiers included). @module */
import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import type { Api } from "../api.ts";
import type { CommandContext } from "../context.ts";
import { escapeToLine } from "../render/escape.ts";

/** Sub-commands that take an identifier or a name, by what it is of. */
const taking = {
  sessions: ["show", "attach", "send", "threads", "snapshots", "share", "stop"],
  sandbox: ["status", "kill", "move", "commands", "logs", "signal", "lease", "preview"],
  deployments: ["show", "pause", "unpause", "run", "runs", "archive"],
  webhooks: ["rotate", "delete", "send"],
  files: ["ls", "cat", "find", "write", "edit", "rm", "mv", "mkdir", "history", "diff", "restore", "pull", "export"],
} as const;
type Kind = keyof typeof taking;
const kinds = Object.keys(taking) as Kind[];

const argumentNames: Record<Kind, string> = {
  sessions: "session",
  sandbox: "session",
  deployments: "deployment",
  webhooks: "webhook",
  files: "path",
};

/** Tab is pressed by someone who waits. */
const completionMilliseconds = 800;

/**
 * Adds `completion <shell>` and the hidden `complete -- …` that its script calls. Identifiers are asked for only where
 * one can stand; without a server there are none, and nothing is said.
 */
export async function addCompletion(
  program: Command,
  context: CommandContext,
  arguments_: readonly string[],
): Promise<void> {
  const root = tab(program, { completionCommandName: "completion" });
  const kind = wantedKind(arguments_);
  if (kind === null) return;
  const offered = await recentOnes(context, kind, arguments_.at(-1) ?? "");
  for (const name of taking[kind]) {
    const command = root.commands.get(`${kind} ${name}`);
    command?.argument(argumentNames[kind], (complete) => {
      for (const [id, description] of offered) complete(id, description);
    });
  }
}

/** @example wantedKind(["complete", "--", "sessions", "attach", ""]) // "sessions" */
export function wantedKind(arguments_: readonly string[]): Kind | null {
  const [complete, separator, first, second] = arguments_;
  if (complete !== "complete" || separator !== "--") return null;
  const kind = kinds.find((name) => name === first);
  return kind !== undefined && taking[kind].some((name) => name === second) ? kind : null;
}

async function recentOnes(context: CommandContext, kind: Kind, typed: string): Promise<Offered> {
  try {
    const api = await context.connect();
    const listed = listOf(api, kind, typed);
    const nothing = new Promise<readonly never[]>((resolve) => {
      setTimeout(() => resolve([]), completionMilliseconds).unref();
    });
    const offered = await Promise.race([listed, nothing]);
    return offered.map(([id, description]) => [escapeToLine(id), escapeToLine(description)] as const);
  } catch {
    return [];
  }
}

type Offered = readonly (readonly [string, string])[];

async function listOf(api: Api, kind: Kind, typed: string): Promise<Offered> {
  switch (kind) {
    case "sessions":
    case "sandbox":
      return (await api.sessions({ limit: 50 })).map(({ id, status, title }) => [id, `${status} ${title ?? ""}`]);
    case "deployments":
      return (await api.deployments({ limit: 50 })).map(({ id, status, name }) => [id, `${status} ${name}`]);
    case "webhooks":
      return (await api.webhooks()).map(({ id, name }) => [name, id]);
    case "files":
      return pathsIn(api, typed);
  }
}

const mostPaths = 200;

/** What lies in the directory of a path that is being typed; with a slash where more can follow. */
async function pathsIn(api: Api, typed: string): Promise<Offered> {
  const directory = typed.slice(0, typed.lastIndexOf("/")) || "/";
  const found: [string, string][] = [];
  for await (const { type, path, size_bytes: size } of api.directory(directory)) {
    found.push(type === "directory" ? [`${path}/`, "directory"] : [path, `${size} bytes`]);
    if (found.length === mostPaths) break;
  }
  return found;
}
