/** Shell completion: the script, and what it asks for at each Tab (identifiers included). @module */
import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import type { Api } from "../api.ts";
import type { CommandContext } from "../context.ts";
import { escapeToLine } from "../render/escape.ts";

/** What stands for an argument, by its name in the grammar: the same in every command. */
const sources: Readonly<Record<string, (api: Api, typed: string) => Promise<Offered>>> = {
  session: async (api) =>
    (await api.sessions({ limit: 50 })).map(({ id, status, title }) => [id, `${status} ${title ?? ""}`]),
  deployment: async (api) =>
    (await api.deployments({ limit: 50 })).map(({ id, status, name }) => [id, `${status} ${name}`]),
  webhook: async (api) => (await api.webhooks()).map(({ id, name }) => [name, id]),
  skill: async (api) => (await api.skills()).map(({ id, x_exoloop }) => [x_exoloop.name, id]),
  user: async (api) => (await api.users()).map(({ external_id, name }) => [external_id, name]),
  environment: async (api) => (await api.environments()).map(({ id, name }) => [name, id]),
  path: pathsIn,
  from: pathsIn,
  to: pathsIn,
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
  const command = root.commands.get(wantedCommand(new Set(root.commands.keys()), arguments_) ?? "");
  for (const name of command?.arguments.keys() ?? []) {
    const source = sources[name];
    if (command === undefined || source === undefined) continue;
    const offered = await ask(context, source, arguments_.at(-1) ?? "");
    command.argument(name, (complete) => {
      for (const [id, description] of offered) complete(id, description);
    });
  }
}

/**
 * The command that is typed, where one of its arguments can follow.
 * @example wantedCommand(new Set(["sessions attach"]), ["complete", "--", "sessions", "attach", ""]) // "sessions attach"
 */
export function wantedCommand(commands: ReadonlySet<string>, arguments_: readonly string[]): string | null {
  const [complete, separator, ...typed] = arguments_;
  if (complete !== "complete" || separator !== "--") return null;
  for (let words = typed.length - 1; words > 0; words -= 1) {
    const name = typed.slice(0, words).join(" ");
    if (commands.has(name)) return name;
  }
  return null;
}

async function ask(
  context: CommandContext,
  source: (api: Api, typed: string) => Promise<Offered>,
  typed: string,
): Promise<Offered> {
  try {
    const nothing = new Promise<readonly never[]>((resolve) => {
      setTimeout(() => resolve([]), completionMilliseconds).unref();
    });
    const offered = await Promise.race([source(await context.connect(), typed), nothing]);
    return offered.map(([id, description]) => [escapeToLine(id), escapeToLine(description)] as const);
  } catch {
    return [];
  }
}

type Offered = readonly (readonly [string, string])[];

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
