/**
 * The one place where a tool's output is shortened. The beginning and the end stay; between them stands how much is
 * missing and where it is: output of a command is written to a file in the workspace, everything else can be asked for
 * again in parts.
 * @module
 */
import { isWithin, workspaceDirectory } from "../files/path.ts";
import { encodeText } from "../files/text.ts";
import type { ToolContext, ToolResult } from "./tool.ts";

/** Characters of one text. */
const longestOutput = 30_000;
/** What a read may show: it was asked for line by line. */
const longestRead = 100_000;
const readers = ["read", "memory", "str_replace_based_edit_tool"];
/** The end of a command's output says more than its beginning. */
const headShare = 0.4;

export const outputDirectory = `${workspaceDirectory}/.exoloop/outputs`;

/** Bounds every text of a result; a result within the bounds is returned as it is. */
export async function boundResult(result: ToolResult, toolName: string, context: ToolContext): Promise<ToolResult> {
  const maximum = readers.includes(toolName) ? longestRead : longestOutput;
  const size = result.content.reduce((sum, part) => sum + (part.type === "text" ? part.text.length : 0), 0);
  if (size <= maximum) return result;
  const full = result.content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
  const where = toolName === "bash" ? await keepFull(full, context) : "Ask for a smaller part.";
  const images = result.content.filter((part) => part.type !== "text");
  return { ...result, content: [{ type: "text", text: shortenText(full, maximum, where) }, ...images] };
}

/**
 * @param where One sentence: where the rest is.
 * @example shortenText("abcdefghij", 5, "It is lost.") // "ab\n\n[… 5 characters left out. It is lost. …]\n\nhij"
 */
export function shortenText(text: string, maximum: number, where: string): string {
  if (text.length <= maximum) return text;
  const head = wholeCharacters(text.slice(0, Math.floor(maximum * headShare)));
  const tail = text.slice(text.length - (maximum - head.length)).replace(/^[\udc00-\udfff]/, "");
  return `${head}\n\n[… ${text.length - head.length - tail.length} characters left out. ${where} …]\n\n${tail}`;
}

/** Without half of a character at the end. */
function wholeCharacters(text: string): string {
  return text.replace(/[\ud800-\udbff]$/, "");
}

/** A failure to keep the text does not fail the call: its result is there and would otherwise be lost with it. */
async function keepFull(text: string, context: ToolContext): Promise<string> {
  const path = `${outputDirectory}/${context.toolUseId}.txt`;
  if (!isWithin(outputDirectory, path) || !/^[A-Za-z0-9_-]+$/.test(context.toolUseId)) return "The rest was not kept.";
  try {
    // Git, in case the workspace is a repository, is to overlook these files.
    await context.files.write(`${workspaceDirectory}/.exoloop/.gitignore`, encodeText("*\n"), context.actor);
    await context.files.write(path, encodeText(text), context.actor);
    return `The full text is in ${path}: use grep or read with view_range on it.`;
  } catch {
    return "The rest could not be kept: the workspace took no file.";
  }
}
