/** Finds text in files. @module */
import { z } from "zod";
import { resolvePath, workspaceDirectory } from "../files/path.ts";
import type { GrepResult } from "../files/store.ts";
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
    const limit = head_limit ?? (output_mode === "content" ? defaultMatches : mostMatches);
    const found = await files.grep({
      pattern,
      path: resolvePath(path),
      ...(glob === undefined ? {} : { glob }),
      ignoreCase: ignore_case ?? false,
      mode: modes[output_mode],
      maximumMatches: limit,
    });
    const shown = describe(found, output_mode);
    if (shown.length === 0) return textResult("no matches");
    if (found.stopped === "maximum")
      shown.push(`[only the first ${limit} are shown: narrow the pattern, path or glob]`);
    if (found.stopped === "time") shown.push("[it took too long to look further: narrow the pattern, path or glob]");
    return textResult(shown.join("\n"));
  },
});

const modes = { content: "lines", files_with_matches: "files", count: "counts" } as const;

function describe({ lines, files }: GrepResult, mode: keyof typeof modes): string[] {
  if (mode === "content") return lines.map((line) => `${line.path}:${line.line}:${line.text}`);
  return files.map(({ path, count }) => (mode === "count" ? `${path}:${count}` : path));
}
