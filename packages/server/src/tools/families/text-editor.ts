/**
 * The tool `str_replace_based_edit_tool` (`text_editor_20250728`), also known as `str_replace_editor`: view, create,
 * str_replace, insert, on every path. Texts are those of Anthropic's reference implementation of the editor.
 * @module
 */
import { z } from "zod";
import { encodeText } from "../../files/text.ts";
import { readTool, withOrigin } from "../read.ts";
import { defineTool, errorResult, textResult } from "../registry.ts";
import type { ToolContext, ToolResult } from "../tool.ts";
import {
  type ChangedText,
  CommandError,
  insertLines,
  type NamedFile,
  replaceOnce,
  snippet,
  viewDirectory,
  viewLines,
} from "./text-commands.ts";

/** Lines shown on each side of a change. */
const around = 4;

const schema = z.strictObject({
  command: z.enum(["view", "create", "str_replace", "insert"]),
  path: z.string().describe("Absolute, or relative to /workspace."),
  view_range: z
    .array(z.int().min(-1))
    .length(2)
    .describe("view: first and last line, from 1; -1 as the last means the end.")
    .optional(),
  file_text: z.string().describe("create: the whole content.").optional(),
  old_str: z.string().describe("str_replace: the text to replace; it must be there exactly once.").optional(),
  new_str: z.string().describe("str_replace: what takes its place.").optional(),
  insert_line: z.int().min(0).describe("insert: the line after which the text goes; 0 is the beginning.").optional(),
  insert_text: z.string().describe("insert: the text.").optional(),
});

type Input = z.output<typeof schema>;

export const textEditorTool = defineTool({
  name: "str_replace_based_edit_tool",
  otherNames: ["str_replace_editor"],
  description:
    "Views, creates and edits files: view (a file with line numbers, or a directory two levels deep), create (a whole file), str_replace (a piece of text that is there exactly once), insert (lines after a line).",
  schema,
  replay: "never",
  parallel: false,
  uses: ({ command, path }) => [[command === "view" ? "file.read" : "file.write", path]],
  async run(input, context) {
    const { files, actor } = context;
    const file = { files, actor, path: files.resolve(input.path), shown: input.path };
    try {
      return await runCommand(input, file, context);
    } catch (error) {
      if (error instanceof CommandError) return errorResult(error.message);
      throw error;
    }
  },
});

async function runCommand(input: Input, file: NamedFile, context: ToolContext): Promise<ToolResult> {
  if (input.command === "create") {
    const text = required(input, "file_text");
    await file.files.write(file.path, encodeText(text), file.actor);
    return textResult(`File created successfully at: ${file.shown}`);
  }
  const status = await file.files.stat(file.path);
  if (status === null) throw new CommandError(`The path ${file.shown} does not exist. Please provide a valid path.`);
  if (input.command === "view") {
    const shown = await view(input, file, status.kind === "directory", context);
    return withOrigin(shown, await context.describeOrigin?.(file.path));
  }
  if (status.kind === "directory")
    throw new CommandError(
      `The path ${file.shown} is a directory and only the \`view\` command can be used on directories`,
    );
  const changed =
    input.command === "str_replace"
      ? await replaceOnce(file, required(input, "old_str"), input.new_str ?? "")
      : await insertLines(file, required(input, "insert_line"), input.insert_text ?? required(input, "new_str"));
  const added = (input.new_str ?? input.insert_text ?? "").split("\n").length;
  return textResult(describeChange(file.shown, changed, added));
}

function required<Name extends keyof Input>(input: Input, name: Name): NonNullable<Input[Name]> {
  const value = input[name];
  if (value === undefined || value === null)
    throw new CommandError(`Parameter \`${name}\` is required for command: ${input.command}`);
  return value;
}

/** It has been said already. */
const nowhere = () => Promise.resolve(null);

async function view(input: Input, file: NamedFile, isDirectory: boolean, context: ToolContext): Promise<ToolResult> {
  if (isDirectory) {
    const header = `Here's the files and directories up to 2 levels deep in ${file.shown}, excluding hidden items:`;
    return textResult(`${header}\n${await viewDirectory(file)}`);
  }
  try {
    return textResult(
      `Here's the result of running \`cat -n\` on ${file.shown}:\n${await viewLines(file, input.view_range)}`,
    );
  } catch (error) {
    // What is no text may be a picture.
    if (error instanceof CommandError)
      return readTool.run({ file_path: file.path }, { ...context, describeOrigin: nowhere });
    throw error;
  }
}

function describeChange(shown: string, changed: ChangedText, height: number): string {
  return [
    `The file ${shown} has been edited. Here's the result of running \`cat -n\` on a snippet of ${shown}:`,
    snippet(changed, around, height),
    "Review the changes and make sure they are as expected (correct indentation, no duplicate lines, etc). Edit the file again if necessary.",
  ].join("\n");
}
