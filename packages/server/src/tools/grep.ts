/** Finds text in files. @module */
import { z } from "zod";
import { workspaceDirectory } from "../files/path.ts";
import { compileSearchPattern } from "../files/search-pattern.ts";
import { createTurns } from "../files/search-request.ts";
import type { GrepLine, GrepRequest, GrepResult } from "../files/store.ts";
import { defineTool, textResult } from "./registry.ts";
import type { ToolResult } from "./tool.ts";

const defaultLimit = 250;
const mostMatches = 2_000;
/** Lines around a match. */
const mostContext = 50;

const contextLines = z.int().min(0).max(mostContext);

const schema = z.strictObject({
  pattern: z.string().min(1).describe("A regular expression in RE2 syntax, as in ripgrep; matched line by line."),
  path: z.string().describe("The directory or file to search; /workspace unless given.").optional(),
  glob: z
    .string()
    .describe("Only files that match, such as *.ts (at any depth) or src/**/*.json; !*.md leaves out.")
    .optional(),
  type: z.string().describe("Only files of a language, by ripgrep's name for it, such as ts, py or md.").optional(),
  output_mode: z
    .enum(["content", "files_with_matches", "count"])
    .describe("content unless given: path:line:text for each line that matches.")
    .optional(),
  "-i": z.boolean().describe("Ignore case.").optional(),
  "-n": z.boolean().describe("Show line numbers, in mode content; true unless given.").optional(),
  "-o": z.boolean().describe("Show only what matches of each line, in mode content.").optional(),
  "-A": contextLines.describe("Lines shown after each match, in mode content.").optional(),
  "-B": contextLines.describe("Lines shown before each match, in mode content.").optional(),
  "-C": contextLines.describe("Lines shown before and after each match, in mode content.").optional(),
  multiline: z.boolean().describe("A match may go over several lines, and . matches a line feed.").optional(),
  head_limit: z
    .int()
    .min(0)
    .max(mostMatches)
    .describe(`The most lines that match, or files in the other modes; ${defaultLimit} unless given.`)
    .optional(),
  offset: z.int().min(0).max(100_000).describe("Matches or files to leave out at the beginning.").optional(),
});

type Input = z.output<typeof schema>;

export const grepTool = defineTool({
  name: "grep",
  otherNames: ["Grep", "search_files"],
  description:
    "Searches file contents for a regular expression, in the order of paths: lines that match, with lines around them where asked for, or only the files, or how many lines match in each. .git, node_modules and binary files are left out.",
  schema,
  aliases: {
    ignore_case: "-i",
    case_insensitive: "-i",
    context: "-C",
    include: "glob",
    max_count: "head_limit",
    line_numbers: "-n",
  },
  replay: "safe",
  parallel: true,
  uses: ({ path = workspaceDirectory }) => [["file.read", path, "tree"]],
  async run(input, { files }) {
    const { output_mode: mode = "content", offset = 0 } = input;
    // Zero is how Claude Code says "no limit".
    const limit = input.head_limit === 0 ? mostMatches : (input.head_limit ?? defaultLimit);
    const found = await files.grep({
      ...requestOf(input),
      path: files.resolve(input.path ?? workspaceDirectory),
      maximumMatches: offset + limit,
    });
    return describe(found, input, mode, offset, limit);
  },
});

const modes = { content: "lines", files_with_matches: "files", count: "counts" } as const;
type Mode = keyof typeof modes;

function requestOf(input: Input): Omit<GrepRequest, "path" | "maximumMatches"> {
  const around = input["-C"] ?? 0;
  const { pattern, glob, type, multiline = false, output_mode = "content" } = input;
  return {
    pattern,
    ...(glob === undefined ? {} : { glob }),
    ...(type === undefined ? {} : { fileType: type }),
    ignoreCase: input["-i"] ?? false,
    multiline,
    mode: modes[output_mode],
    before: input["-B"] ?? around,
    after: input["-A"] ?? around,
  };
}

async function describe(
  found: GrepResult,
  input: Input,
  mode: Mode,
  offset: number,
  limit: number,
): Promise<ToolResult> {
  const wanted = afterMatches(found.lines, offset);
  const lines = await shownLines(wanted, input);
  const isLate = found.stopped === "time" || lines.length < wanted.filter((line) => !line.isContext).length;
  const shown = mode === "content" ? contentLines(lines, input["-n"] ?? true) : fileLines(found, mode, offset);
  if (found.stopped === "maximum") shown.push(`[Showing results with pagination = limit: ${limit}, offset: ${offset}]`);
  if (isLate) shown.push("[It took too long to look further: narrow the pattern, path or glob.]");
  if (shown.length === 0) return textResult(mode === "files_with_matches" ? "No files found" : "No matches found");
  return textResult(shown.join("\n"));
}

function fileLines({ files }: GrepResult, mode: Mode, offset: number): string[] {
  const kept = files.slice(offset);
  if (kept.length === 0) return [];
  const plural = kept.length === 1 ? "file" : "files";
  if (mode === "files_with_matches") return [`Found ${kept.length} ${plural}`, ...kept.map((file) => file.path)];
  const total = kept.reduce((sum, file) => sum + file.count, 0);
  return [
    ...kept.map((file) => `${file.path}:${file.count}`),
    "",
    `Found ${total} total ${total === 1 ? "occurrence" : "occurrences"} across ${kept.length} ${plural}.`,
  ];
}

/** As ripgrep prints them: `path:line:text`, `path-line-text` around a match, `--` where lines are left out. */
function contentLines(kept: readonly ShownLine[], numbered: boolean): string[] {
  const hasContext = kept.some((line) => line.isContext);
  return kept.flatMap((line, index) => {
    const previous = kept[index - 1];
    const isGap = previous !== undefined && (previous.path !== line.path || previous.line + 1 !== line.line);
    const mark = line.isContext ? "-" : ":";
    const start = `${line.path}${mark}${numbered ? `${line.line}${mark}` : ""}`;
    return [...(isGap && hasContext ? ["--"] : []), ...line.texts.map((text) => `${start}${text}`)];
  });
}

/** A line, and what is shown of it. */
type ShownLine = GrepLine & { readonly texts: readonly string[] };

/** Milliseconds for finding what matches of lines. */
const matchTimeMs = 5_000;

/**
 * Of a line too long to be shown whole, only what matches in what is shown; whole where the match goes over several
 * lines. A pattern may take long for each line: others run meanwhile, and what takes too long is left out.
 */
async function shownLines(lines: readonly GrepLine[], input: Input): Promise<readonly ShownLine[]> {
  if (input["-o"] !== true) return lines.map((line) => ({ ...line, texts: [line.text] }));
  const { pattern, "-i": ignoreCase = false, multiline = false } = input;
  const only = compileSearchPattern(pattern, { ignoreCase, multiline });
  const turns = createTurns();
  const shown: ShownLine[] = [];
  for (const line of lines.filter((one) => !one.isContext)) {
    const texts: string[] = [];
    for (const text of only.matchesIn(line.text)) {
      if (text !== null) texts.push(text);
      await turns.next();
      if (turns.elapsedMs() > matchTimeMs) return shown;
    }
    shown.push({ ...line, texts: texts.length === 0 ? [line.text] : texts });
  }
  return shown;
}

/** Without the first matches; the lines before the next one stay. */
function afterMatches(lines: readonly GrepLine[], offset: number): readonly GrepLine[] {
  let skipped = 0;
  const start = lines.findIndex((line) => {
    if (skipped === offset) return true;
    if (!line.isContext) skipped += 1;
    return false;
  });
  return start === -1 ? [] : lines.slice(start);
}
