/** Finds files by name. @module */
import { z } from "zod";
import { workspaceDirectory } from "../files/path.ts";
import { defineTool, textResult } from "./registry.ts";

const mostMatches = 100;

const schema = z.strictObject({
  pattern: z.string().describe("Relative to path, such as **/*.ts or src/{a,b}/*.json."),
  path: z.string().describe("The directory to search; /workspace unless given.").optional(),
});

export const globTool = defineTool({
  name: "glob",
  otherNames: ["Glob", "find_files"],
  description: `Lists files whose path matches a pattern, newest first, at most ${mostMatches}. .git and node_modules are left out unless the path lies within them.`,
  schema,
  aliases: { directory: "path" },
  replay: "safe",
  parallel: true,
  uses: ({ path = workspaceDirectory }) => [["file.read", path, "tree"]],
  async run({ pattern, path = workspaceDirectory }, { files }) {
    const matches = await files.glob(files.resolve(path), pattern, mostMatches + 1);
    if (matches.length === 0) return textResult("No files found");
    const shown = matches.slice(0, mostMatches).map((match) => match.path);
    if (matches.length > mostMatches)
      shown.push("(Results are truncated. Consider using a more specific path or pattern.)");
    return textResult(shown.join("\n"));
  },
});
