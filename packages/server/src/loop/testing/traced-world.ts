/**
 * What the tools of a trace act on, outside of every driver: it remembers what was done, as files and sandboxes do, and
 * counts how often.
 * @module
 */
import type { DriverDependencies } from "../driver.ts";
import type { ReplayRule, Tool, ToolContext, ToolResult } from "../../tools/tool.ts";

export interface TracedWorld {
  /** How often the side effect of each call has happened, by the call's identifier. */
  readonly done: ReadonlyMap<string, number>;
  readonly tools: DriverDependencies["tools"];
  readonly replayOf: (toolName: string) => ReplayRule | undefined;
}

/** A command: it ends by itself, or by an interrupt. */
interface Command {
  readonly end: Promise<string>;
  abort(): void;
}

const text = (value: string): ToolResult => ({ content: [{ type: "text", text: value }], isError: false });

/** @param onSignal Called by a call with the argument `signal`, while it runs; what it starts happens once. */
export function createTracedWorld(onSignal: () => Promise<void>): TracedWorld {
  const done = new Map<string, number>();
  const commands = new Map<string, Command>();
  const happen = (context: ToolContext) => done.set(context.toolUseId, (done.get(context.toolUseId) ?? 0) + 1);
  const only = (name: string): Tool["run"] => {
    return async (input, context) => {
      happen(context);
      if (input["signal"] === true) await onSignal();
      return text(`${name} of ${JSON.stringify(input)}`);
    };
  };
  const bash: Tool["run"] = async (input, context) => {
    // Joined where it was started: never started twice.
    const known = commands.get(context.toolUseId);
    const command = known ?? startCommand(input["waitForAbort"] === true);
    if (known === undefined) {
      commands.set(context.toolUseId, command);
      happen(context);
      if (input["signal"] === true) await onSignal();
    }
    if (context.abortSignal.aborted) command.abort();
    context.abortSignal.addEventListener("abort", () => command.abort(), { once: true });
    return text(await command.end);
  };
  const tools = [
    tool("read", "safe", true, only("read")),
    tool("grep", "safe", true, only("grep")),
    tool("write", "safe", false, only("write")),
    tool("bash", "reattach", false, bash),
    tool("edit", "never", false, only("edit")),
  ];
  const find = (name: string) => tools.find((candidate) => candidate.definition.name === name);
  return {
    done,
    replayOf: (name) => find(name)?.replay,
    tools: {
      definitions: tools.map(({ definition }) => definition),
      find,
      run: (found, input, context) => found.run(input ?? {}, context),
    },
  };
}

function tool(name: string, replay: ReplayRule, parallel: boolean, run: Tool["run"]): Tool {
  return { definition: { name, description: name, inputSchema: { type: "object" } }, replay, parallel, run };
}

function startCommand(waitsForAbort: boolean): Command {
  if (!waitsForAbort) return { end: Promise.resolve("the command's output"), abort: () => undefined };
  const { promise, resolve } = Promise.withResolvers<string>();
  return { end: promise, abort: () => resolve("the command was interrupted") };
}
