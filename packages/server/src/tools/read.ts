/** Shows a file. @module */
import { z } from "zod";
import { decodeText } from "../files/text.ts";
import { isPdf, showPdf } from "./pdf/show-pdf.ts";
import { defineTool, errorResult, textResult } from "./registry.ts";
import type { ToolResult } from "./tool.ts";

/** Lines shown when no range was asked for. */
const defaultLines = 2_000;
/** Characters of one line. */
const longestLine = 2_000;
/** Bytes: models take no larger pictures. */
const largestImage = 4 * 1024 * 1024;

const schema = z.strictObject({
  file_path: z.string().describe("Absolute, or relative to /workspace."),
  view_range: z
    .array(z.int().min(-1))
    .length(2)
    .describe("First and last line, counted from 1; -1 as the last means the end.")
    .optional(),
  offset: z.int().min(0).describe("First line, counted from 1.").optional(),
  pages: z.string().max(20).describe("Of a PDF: the pages, such as 3 or 1-5.").optional(),
  limit: z.int().min(1).describe(`How many lines; ${defaultLines} unless given.`).optional(),
});

export const readTool = defineTool({
  name: "read",
  otherNames: ["Read", "read_file", "view_file"],
  description: [
    "Shows a file with line numbers (number, tab, line), a picture (PNG, JPEG, GIF, WebP), or a PDF.",
    `Up to ${defaultLines} lines at once: use view_range, or offset and limit, for other parts.`,
    "Files under /workspace, /skills and /memory are reached by their paths; the sandbox is not woken for the latter two.",
  ].join(" "),
  schema,
  aliases: { path: "file_path", filename: "file_path" },
  replay: "safe",
  parallel: true,
  uses: ({ file_path }) => [["file.read", file_path]],
  async run({ file_path, view_range, offset, limit, pages }, { files, describeOrigin }) {
    const path = files.resolve(file_path);
    const { bytes } = await files.read(path);
    const image = imageType(bytes);
    if (image !== null) return imageResult(path, bytes, image);
    if (isPdf(bytes)) return showPdf(path, bytes, pages);
    const text = decodeText(bytes);
    if (text === null)
      return errorResult(`read: ${path} is a binary file of ${bytes.length} bytes. Use bash to look into it.`);
    if (text === "") return textResult(warning("the file exists but the contents are empty"));
    return withOrigin(showLines(text, lineRange(view_range, offset, limit)), await describeOrigin?.(path));
  },
});

/** In a block of its own: what is in the file stays as it is. */
export function withOrigin(shown: ToolResult, origin: string | null | undefined): ToolResult {
  if (origin === null || origin === undefined || shown.isError) return shown;
  return { ...shown, content: [{ type: "text", text: origin }, ...shown.content] };
}

/** As models know it from Claude Code. */
function warning(what: string): string {
  return `<system-reminder>Warning: ${what}.</system-reminder>`;
}

/** Without their ends, be those a line feed or a carriage return with one: an edit keeps what the file has. */
function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

interface LineRange {
  /** Counted from 1, inclusive. */
  readonly first: number;
  readonly last: number;
}

function lineRange(
  viewRange: readonly number[] | undefined,
  offset: number | undefined,
  limit: number | undefined,
): LineRange {
  if (viewRange !== undefined) {
    const [first = 1, last = -1] = viewRange;
    return { first: Math.max(1, first), last: last === -1 ? Number.POSITIVE_INFINITY : last };
  }
  const first = Math.max(1, offset ?? 1);
  return { first, last: first + (limit ?? defaultLines) - 1 };
}

function showLines(text: string, { first, last }: LineRange): ToolResult {
  const lines = linesOf(text);
  if (first > lines.length) {
    const why = `the file exists but is shorter than the provided offset (${first}). The file has ${lines.length} lines`;
    return textResult(warning(why));
  }
  if (last < first) return errorResult(`read: the range ends (${last}) before it begins (${first}).`);
  const end = Math.min(last, lines.length);
  const shown = lines.slice(first - 1, end).map((line, index) => {
    const cut =
      line.length > longestLine
        ? `${line.slice(0, longestLine)}… [${line.length - longestLine} more characters]`
        : line;
    return `${String(first + index).padStart(6)}\t${cut}`;
  });
  if (end < lines.length)
    shown.push(`[lines ${first} to ${end} of ${lines.length}; use offset and limit for other parts]`);
  return textResult(shown.join("\n"));
}

const signatures: readonly { readonly mediaType: string; readonly bytes: readonly number[] }[] = [
  { mediaType: "image/png", bytes: [0x89, 0x50, 0x4e, 0x47] },
  { mediaType: "image/jpeg", bytes: [0xff, 0xd8, 0xff] },
  { mediaType: "image/gif", bytes: [0x47, 0x49, 0x46, 0x38] },
];

function imageType(bytes: Uint8Array): string | null {
  const found = signatures.find((signature) => signature.bytes.every((byte, index) => bytes[index] === byte));
  if (found !== undefined) return found.mediaType;
  const ascii = (start: number) => String.fromCharCode(...bytes.subarray(start, start + 4));
  return ascii(0) === "RIFF" && ascii(8) === "WEBP" ? "image/webp" : null;
}

function imageResult(path: string, bytes: Uint8Array, mediaType: string): ToolResult {
  if (bytes.length > largestImage)
    return errorResult(
      `read: the picture ${path} has ${bytes.length} bytes, at most ${largestImage} are shown. Make it smaller first.`,
    );
  return { content: [{ type: "image", mediaType, base64: Buffer.from(bytes).toString("base64") }], isError: false };
}
