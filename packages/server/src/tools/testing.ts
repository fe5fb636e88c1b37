/** Parts of a tool's context, for tests, and calls as a model makes them. @module */
import { createRouter, type MountedStore, type RoutedFiles } from "../files/router.ts";
import { builtInTools } from "./built-in.ts";
import { createToolRegistry } from "./registry.ts";
import type { ToolCase } from "./testing-cases.ts";
import type { BackgroundCommands, ToolContext, ToolResult } from "./tool.ts";

const nothing = () => Promise.reject(new Error("no command runs here"));

export const noBackground: BackgroundCommands = { start: nothing, list: nothing, read: nothing, kill: nothing };

/** One store for every path. */
export function filesOf(store: MountedStore): RoutedFiles {
  return createRouter([{ prefix: "/", store, access: "read_write" }]);
}

const registry = createToolRegistry(builtInTools);

/** One call in a context whose sandbox runs no command. */
export function callTool(
  name: string,
  input: Readonly<Record<string, unknown>>,
  context: Pick<ToolContext, "files" | "actor"> & { readonly toolUseId: string },
): Promise<ToolResult> {
  const tool = registry.find(name);
  if (tool === undefined) throw new Error(`no tool ${name}`);
  return registry.run(tool, input, {
    commands: { run: nothing },
    background: noBackground,
    abortSignal: new AbortController().signal,
    resumed: false,
    ...context,
    actor: { ...context.actor, toolUseId: context.toolUseId },
  });
}

/** What a model reads of a result; of what is no text, its type. */
export function answerOf(result: ToolResult): string {
  return result.content.map((part) => (part.type === "text" ? part.text : part.mediaType)).join("\n");
}

/** The steps of a case with the places filled in. */
export function stepsIn(one: ToolCase, directory: string, hasVersions: boolean) {
  const fill = (text: string) =>
    text
      .replaceAll(/\$(?=\/|$|\n| |\t|,)/gm, () => directory)
      .replaceAll(/\{(\d)\}/g, (_mark, version: string) => (hasVersions ? ` (version ${version})` : ""));
  const fillAll = (value: unknown): unknown => {
    if (typeof value === "string") return value.replaceAll(/\$(?=\/|$)/g, () => directory);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, fillAll(member)]));
  };
  return one.steps.map(([tool, input, answer]) => ({
    tool,
    input: Object.fromEntries(Object.entries(input).map(([key, value]) => [key, fillAll(value)])),
    answer: fill(answer),
  }));
}
