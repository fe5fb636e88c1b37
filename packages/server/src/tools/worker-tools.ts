/**
 * The tools of a self-hosted environment, as the model sees them. The official SDK's workers run them: names, arguments
 * and what they mean are those of its agent toolset (agent_toolset_20260401), not of the tools that run here.
 * @module
 */
import { createToolRegistry } from "./registry.ts";
import type { Tool } from "./tool.ts";

type Properties = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const text = (description: string) => ({ type: "string", description });
const filePath = text("Relative to the working directory, or absolute and within it.");
const searchPath = text("Directory to search in; the working directory unless given.");

function workerTool(
  name: string,
  description: string,
  properties: Properties,
  required: readonly string[],
  readsOnly = false,
): Tool {
  return {
    definition: { name, description, inputSchema: { type: "object", properties, required } },
    // Of no consequence: the loop leaves the call to the worker.
    replay: "never",
    parallel: readsOnly,
    run: () => Promise.reject(new Error(`${name} runs at a worker`)),
  };
}

/** By no other names: a worker knows these and would leave any other call alone. */
export const workerTools = createToolRegistry([
  workerTool(
    "bash",
    [
      "Runs a command in a bash shell that stays: its directory and variables are there for the next command.",
      "A command that fails is an error with what it has written.",
    ].join(" "),
    {
      command: text("The command."),
      restart: { type: "boolean", description: "Begin with a new shell." },
      timeout_ms: { type: "integer", description: "How long the command may take, in milliseconds; up to 120000." },
    },
    [],
  ),
  workerTool(
    "read",
    "Reads a text file in UTF-8.",
    {
      file_path: filePath,
      view_range: {
        type: "array",
        items: { type: "integer" },
        minItems: 2,
        maxItems: 2,
        description: "First and last line, counted from 1.",
      },
    },
    ["file_path"],
    true,
  ),
  workerTool(
    "write",
    "Writes a text file in UTF-8, with the directories that it needs; what was there is replaced.",
    { file_path: filePath, content: text("All of the file.") },
    ["file_path", "content"],
  ),
  workerTool(
    "edit",
    "Replaces old_string by new_string in a file. old_string must be there exactly once, unless replace_all.",
    {
      file_path: filePath,
      old_string: text("What is there, exactly."),
      new_string: text("What is to be there."),
      replace_all: { type: "boolean", description: "Every place where it is." },
    },
    ["file_path", "old_string", "new_string"],
  ),
  workerTool(
    "glob",
    "Finds files by a pattern such as **/*.ts, the newest first.",
    { pattern: text("Relative, without `..`."), path: searchPath },
    ["pattern"],
    true,
  ),
  workerTool(
    "grep",
    "Searches the content of files for a regular expression.",
    { pattern: text("A regular expression."), path: searchPath },
    ["pattern"],
    true,
  ),
]);
