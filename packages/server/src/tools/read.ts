/** Shows a file. @module */
import { z } from "zod";
import { resolvePath } from "../files/path.ts";
import { decodeText } from "../files/text.ts";
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
  limit: z.int().min(1).describe(`How many lines; ${defaultLines} unless given.`).optional(),
});

export const readTool = defineTool({
  name: "read",
  description: [
    "Shows a file with line numbers (number, tab, line), or a picture (PNG, JPEG, GIF, WebP).",
    `Up to ${defaultLines} lines at once: use view_range, or offset and limit, for other parts.`,
    "Files under /workspace, /skills and /memory/org are reached by their paths; the sandbox is not woken for the latter two.",
  ].join(" "),
  schema,
  aliases: { path: "file_path", filename: "file_path" },
  replay: "safe",
  parallel: true,
  async run({ file_path, view_range, offset, limit }, { files, describeOrigin }) {
    const path = resolvePath(file_path);
    const { bytes } = await files.read(path);
    const image = imageType(bytes);
    if (image !== null) return imageResult(path, bytes, image);
    const text = decodeText(bytes);
    if (text === null)
      return errorResult(`read: ${path} is a binary file of ${bytes.length} bytes. Use bash to look into it.`);
    if (text === "") return textResult(`[${path} is empty]`);
    const shown = showLines(path, text, lineRange(view_range, offset, limit));
    return withOrigin(shown, await describeOrigin?.(path));
  },
});

/** In a block of its own: what is in the file stays as it is. */
function withOrigin(shown: ToolResult, origin: string | null | undefined): ToolResult {
  if (origin === null || origin === undefined || shown.isError) return shown;
  return { ...shown, content: [{ type: "text", text: origin }, ...shown.content] };
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

function showLines(path: string, text: string, { first, last }: LineRange): ToolResult {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  if (first > lines.length) return errorResult(`read: ${path} has ${lines.length} lines, so none from ${first} on.`);
  if (last < first) return errorResult(`read: the range ends (${last}) before it begins (${first}).`);
  const end = Math.min(last, lines.length);
  const shown = lines.slice(first - 1, end).map((line, index) => {
    const cut =
      line.length > longestLine
        ? `${line.slice(0, longestLine)}… [${line.length - longestLine} more characters]`
        : line;
    return `${String(first + index).padStart(6)}\t${cut}`;
  });
  if (end < lines.length) shown.push(`[lines ${first} to ${end} of ${lines.length}; use view_range for the rest]`);
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
