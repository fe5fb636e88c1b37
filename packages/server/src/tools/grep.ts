/** Finds text in files. @module */
import { z } from "zod";
import { resolvePath, workspaceDirectory } from "../files/path.ts";
import type { GrepMatch } from "../files/store.ts";
import { defineTool, textResult } from "./registry.ts";

const defaultMatches = 250;
const mostMatches = 2_000;

const schema = z.strictObject({
  pattern: z.string().min(1).describe("A regular expression in RE2 syntax, as in ripgrep; matched line by line."),
  path: z.string().describe("The directory or file to search; /workspace unless given.").optional(),
  glob: z.string().describe("Only files that match, such as *.ts (at any depth) or src/**/*.json.").optional(),
  ignore_case: z.boolean().optional(),
  output_mode: z
    .enum(["content", "files_with_matches", "count"])
    .describe("content unless given: path:line:text.")
    .optional(),
  head_limit: z
    .int()
    .min(1)
    .max(mostMatches)
    .describe(`The most matching lines; ${defaultMatches} unless given.`)
    .optional(),
});

export const grepTool = defineTool({
  name: "grep",
  description:
    "Searches file contents for a regular expression and returns path:line:text for each matching line, in the order of paths. .git, node_modules and binary files are left out.",
  schema,
  aliases: { "-i": "ignore_case", include: "glob", max_count: "head_limit" },
  // Lines are always numbered.
  ignored: ["-n"],
  replay: "safe",
  parallel: true,
  async run({ pattern, path = workspaceDirectory, glob, ignore_case, output_mode = "content", head_limit }, { files }) {
    const limit = output_mode === "content" ? (head_limit ?? defaultMatches) : mostMatches;
    const matches = await files.grep({
      pattern,
      path: resolvePath(path),
      ...(glob === undefined ? {} : { glob }),
      ignoreCase: ignore_case ?? false,
      maximumMatches: limit + 1,
    });
    if (matches.length === 0) return textResult("no matches");
    const lines = describeMatches(matches.slice(0, limit), output_mode);
    const shown = output_mode === "content" ? lines : lines.slice(0, head_limit ?? lines.length);
    if (matches.length > limit)
      shown.push(`[only the first ${limit} matching lines were counted: narrow the pattern, path or glob]`);
    return textResult(shown.join("\n"));
  },
});

function describeMatches(matches: readonly GrepMatch[], mode: "content" | "files_with_matches" | "count"): string[] {
  if (mode === "content") return matches.map((match) => `${match.path}:${match.line}:${match.text}`);
  const counts = new Map<string, number>();
  for (const match of matches) counts.set(match.path, (counts.get(match.path) ?? 0) + 1);
  return [...counts].map(([path, count]) => (mode === "count" ? `${path}:${count}` : path));
}
