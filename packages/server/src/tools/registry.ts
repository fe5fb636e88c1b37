/** The tools of this server: what the model is shown, how its arguments are checked, and how a call runs. @module */
import { SandboxFileError } from "@exoloop/sandbox/errors";
import { z } from "zod";
import { resolvePath } from "../files/path.ts";
import { followAliases } from "../files/routing/aliases.ts";
import { FileError } from "../files/store.ts";
import type { ToolDefinition } from "../models/model.ts";
import type { FileAction, FileUse } from "../policy/file-rules.ts";
import { boundResult } from "./bound-output.ts";
import type { PreparedCall, ReplayRule, Tool, ToolContext, ToolResult } from "./tool.ts";

type Input = Readonly<Record<string, unknown>>;

export interface ToolRegistry {
  /** In the order in which the tools were given: a stable prefix of every model request. */
  readonly definitions: readonly ToolDefinition[];
  /** By its name, or by one that models also use. */
  find(name: string): Tool | undefined;
  /**
   * Runs one call and bounds its output. What the model did wrong is an error result; rejects only for faults of ours.
   * @param input Null when the model's arguments were no JSON object.
   */
  run(tool: Tool, input: Input | null, context: ToolContext): Promise<ToolResult>;
}

/** @throws Error when two tools have one name */
export function createToolRegistry(tools: readonly Tool[]): ToolRegistry {
  const named = tools.flatMap((tool) =>
    [tool.definition.name, ...(tool.aliases ?? [])].map((name) => [name, tool] as const),
  );
  const byName = new Map(named);
  if (byName.size !== named.length) throw new Error("two tools have one name");
  return {
    definitions: tools.map((tool) => tool.definition),
    find: (name) => byName.get(name),
    async run(tool, input, context) {
      const { name } = tool.definition;
      const result =
        input === null ? errorResult(`${name}: the arguments are not a JSON object.`) : await tool.run(input, context);
      return boundResult(result, name, context);
    },
  };
}

type UsedPath = readonly [action: FileAction, path: string, tree?: "tree"];

export interface ToolSpecification<Schema extends z.ZodType> {
  readonly name: string;
  readonly description: string;
  /** Other names that models call it by. */
  readonly otherNames?: readonly string[];
  /** An object; what the model is shown. */
  readonly schema: Schema;
  /** Names of parameters that models also use, each with the schema's own name. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Parameters that models send and that change nothing here. */
  readonly ignored?: readonly string[];
  readonly replay: ReplayRule;
  readonly parallel: boolean;
  readonly wakesSandbox?: boolean;
  /** Paths as the model writes them; an action for each, and whether all below is meant. Absent: it uses no files. */
  uses?(input: z.output<Schema>): readonly UsedPath[];
  readonly alwaysAsks?: boolean;
  readonly prepare?: (input: z.output<Schema>, context: ToolContext) => Promise<PreparedCall>;
  run(input: z.output<Schema>, context: ToolContext): Promise<ToolResult>;
}

/** A tool whose arguments are checked against its schema, and whose file errors are told to the model. */
export function defineTool<Schema extends z.ZodType>(specification: ToolSpecification<Schema>): Tool {
  const {
    name,
    description,
    schema,
    otherNames = [],
    aliases = {},
    ignored = [],
    replay,
    parallel,
    wakesSandbox = false,
    alwaysAsks = false,
    prepare,
  } = specification;
  const parse = (input: Input) => schema.safeParse(withoutAliases(input, aliases, ignored));
  const { $schema: _dialect, ...inputSchema } = z.toJSONSchema(schema, { io: "input" });
  return {
    definition: { name, description, inputSchema },
    aliases: otherNames,
    replay,
    parallel,
    wakesSandbox,
    uses(input) {
      const parsed = parse(input);
      return parsed.success ? usedFiles(specification.uses?.(parsed.data) ?? []) : [];
    },
    alwaysAsks,
    ...(prepare === undefined
      ? {}
      : {
          async prepare(input: Input, context: ToolContext): Promise<PreparedCall> {
            const parsed = parse(input);
            if (!parsed.success) return { refusal: describeIssues(name, parsed.error) };
            try {
              return await prepare(parsed.data, context);
            } catch (error) {
              if (error instanceof FileError) return { refusal: `${name}: ${error.message}` };
              throw error;
            }
          },
        }),
    async run(input, context) {
      const parsed = parse(input);
      if (!parsed.success) return errorResult(describeIssues(name, parsed.error));
      try {
        return await specification.run(parsed.data, context);
      } catch (error) {
        if (error instanceof FileError || error instanceof SandboxFileError)
          return errorResult(`${name}: ${error.message}`);
        throw error;
      }
    },
  };
}

/** Which memory `/memories` is depends on the session: a rule about any is meant. A path that is none is refused later. */
function usedFiles(uses: readonly UsedPath[]): readonly FileUse[] {
  return uses.flatMap(([action, path, tree]) => {
    try {
      return [{ action, path: followAliases("/memory/*", resolvePath(path)), tree: tree === "tree" }];
    } catch (error) {
      if (error instanceof FileError) return [];
      throw error;
    }
  });
}

/** Null counts as absent: some models fill every parameter. */
function withoutAliases(input: Input, aliases: Readonly<Record<string, string>>, ignored: readonly string[]): Input {
  const renamed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(input)) {
    if (value === null || ignored.includes(key)) continue;
    const name = Object.hasOwn(aliases, key) ? (aliases[key] ?? key) : key;
    if (name === key || !Object.hasOwn(input, name)) Object.defineProperty(renamed, name, { value, enumerable: true });
  }
  return renamed;
}

const mostIssues = 5;

function describeIssues(name: string, error: z.ZodError): string {
  const issues = error.issues.slice(0, mostIssues).map((issue) => {
    const where = issue.path.map(String).join(".");
    return where === "" ? issue.message : `${where}: ${issue.message}`;
  });
  return `${name}: nothing was done, because the arguments are wrong. ${issues.join("; ")}.`;
}

export function textResult(text: string, isError = false): ToolResult {
  return { content: [{ type: "text", text }], isError };
}

export function errorResult(text: string): ToolResult {
  return textResult(text, true);
}
