/**
 * The tool `memory` (`memory_20250818`): files under /memories, by one tool with six commands. Texts are those of the
 * reference implementation in the Anthropic SDK (`tools/memory/node`), since models are trained on them; paths are shown
 * as the model wrote them.
 * @module
 */
import { z } from "zod";
import { isWithin } from "../../files/path.ts";
import { FileError } from "../../files/store.ts";
import { encodeText } from "../../files/text.ts";
import { withOrigin } from "../read.ts";
import { defineTool, errorResult, textResult } from "../registry.ts";
import type { ToolContext, ToolResult } from "../tool.ts";
import {
  CommandError,
  insertLines,
  type NamedFile,
  replaceOnce,
  snippet,
  viewDirectory,
  viewLines,
} from "./text-commands.ts";

const root = "/memories";
/** Lines shown on each side of a change. */
const around = 2;

const path = z.string().describe("Below /memories.");
const viewRange = z
  .array(z.int().min(-1))
  .length(2)
  .describe("view: first and last line, from 1; -1 as the last means the end.");

const commands = z.discriminatedUnion("command", [
  z.strictObject({ command: z.literal("view"), path, view_range: viewRange.optional() }),
  z.strictObject({ command: z.literal("create"), path, file_text: z.string() }),
  z.strictObject({ command: z.literal("str_replace"), path, old_str: z.string(), new_str: z.string().default("") }),
  z.strictObject({ command: z.literal("insert"), path, insert_line: z.int().min(0), insert_text: z.string() }),
  z.strictObject({ command: z.literal("delete"), path }),
  z.strictObject({ command: z.literal("rename"), old_path: path, new_path: path }),
]);

/** What the model is shown: one object, since not every provider takes alternatives at the top. */
const schema = z.strictObject({
  command: z.enum(["view", "create", "str_replace", "insert", "delete", "rename"]),
  path: path.optional(),
  view_range: viewRange.optional(),
  file_text: z.string().describe("create: the whole content.").optional(),
  old_str: z.string().describe("str_replace: the text to replace; it must be there exactly once.").optional(),
  new_str: z.string().describe("str_replace: what takes its place.").optional(),
  insert_line: z.int().min(0).describe("insert: the line after which the text goes; 0 is the beginning.").optional(),
  insert_text: z.string().describe("insert: the text.").optional(),
  old_path: path.describe("rename: from.").optional(),
  new_path: path.describe("rename: to.").optional(),
});

/** Never repeated by itself: what was created, inserted or deleted would be a second time. */
export const memoryTool = defineTool({
  name: "memory",
  description: [
    "Your memory: files under /memories, which last beyond this session. Look at /memories before you begin, and note there what will be of use later.",
    "Commands: view (a file, or a directory two levels deep), create, str_replace, insert, delete, rename.",
  ].join(" "),
  schema,
  replay: "never",
  parallel: false,
  uses: ({ command, ...named }) => {
    const action = command === "view" ? "file.read" : "file.write";
    const paths = [named.path, named.old_path, named.new_path];
    return paths.flatMap((one) => (one === undefined ? [] : [[action, one] as const]));
  },
  async run(input, context) {
    const parsed = commands.safeParse(input);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      return errorResult(`memory: ${issue?.path.map(String).join(".") ?? ""}: ${issue?.message ?? "wrong arguments"}.`);
    }
    try {
      return await runCommand(parsed.data, context);
    } catch (error) {
      if (error instanceof CommandError) return errorResult(error.message);
      throw error;
    }
  },
});

type Command = z.output<typeof commands>;

async function runCommand(command: Command, context: ToolContext): Promise<ToolResult> {
  if (command.command === "rename") return rename(command, context);
  const file = locate(command.path, context);
  switch (command.command) {
    case "view":
      return withOrigin(await view(file, command.view_range), await context.describeOrigin?.(file.path));
    case "create":
      await create(file, command.file_text);
      return textResult(`File created successfully at: ${file.shown}`);
    case "str_replace": {
      await requireFile(file);
      const changed = await replaceOnce(file, command.old_str, command.new_str);
      return textResult(
        `The memory file has been edited. Here is the snippet showing the change (with line numbers):\n${snippet(changed, around)}`,
      );
    }
    case "insert":
      await requireFile(file);
      await insertLines(file, command.insert_line, command.insert_text);
      return textResult(`The file ${file.shown} has been edited.`);
    case "delete":
      await remove(file);
      return textResult(`Successfully deleted ${file.shown}`);
  }
}

/** The names that mean memory here, too: a model may have seen them in other answers. */
function locate(shown: string, { files, actor }: ToolContext): NamedFile {
  if (![root, "/memory", "/mnt/memory"].some((directory) => isWithin(directory, shown)))
    throw new CommandError(`Path must start with /memories, got: ${shown}`);
  const resolved = files.resolve(shown);
  if (!isWithin("/memory", resolved)) throw new CommandError(`Path ${shown} would escape /memories directory`);
  return { files, actor, path: resolved, shown: shown.length > 1 ? shown.replace(/\/+$/, "") : shown };
}

function isRoot({ files, path: resolved }: NamedFile): boolean {
  return resolved === files.resolve(root);
}

async function view(file: NamedFile, range: readonly number[] | undefined): Promise<ToolResult> {
  const status = await file.files.stat(file.path);
  if (status === null) throw absent(file);
  if (status.kind !== "directory")
    return textResult(`Here's the content of ${file.shown} with line numbers:\n${await viewLines(file, range)}`);
  const header = `Here're the files and directories up to 2 levels deep in ${file.shown}, excluding hidden items and node_modules:`;
  return textResult(`${header}\n${await viewDirectory(file)}`);
}

async function create({ files, path: resolved, shown, actor }: NamedFile, text: string): Promise<void> {
  try {
    await files.write(resolved, encodeText(text), actor, null);
  } catch (error) {
    const exists = error instanceof FileError && ["conflict", "is_directory"].includes(error.code);
    throw exists ? new CommandError(`File ${shown} already exists`) : error;
  }
}

async function requireFile(file: NamedFile): Promise<void> {
  const status = await file.files.stat(file.path);
  if (status === null) throw absent(file);
  if (status.kind !== "file") throw new CommandError(`The path ${file.shown} is not a file.`);
}

async function remove(file: NamedFile): Promise<void> {
  if (isRoot(file)) throw new CommandError("Cannot delete the /memories directory itself");
  const status = await file.files.stat(file.path);
  if (status === null) throw new CommandError(`The path ${file.shown} does not exist`);
  if (status.kind === "directory") await file.files.removeTree(file.path, file.actor);
  else await file.files.remove(file.path, file.actor);
}

async function rename(command: Extract<Command, { command: "rename" }>, context: ToolContext): Promise<ToolResult> {
  const [from, to] = [locate(command.old_path, context), locate(command.new_path, context)];
  if (isRoot(from)) throw new CommandError("Cannot rename the /memories directory itself");
  if ((await to.files.stat(to.path)) !== null) throw new CommandError(`The destination ${to.shown} already exists`);
  if ((await from.files.stat(from.path)) === null) throw new CommandError(`The path ${from.shown} does not exist`);
  const { notice } = await context.files.move(from.path, to.path, context.actor);
  return textResult(
    [`Successfully renamed ${from.shown} to ${to.shown}`, ...(notice === null ? [] : [notice])].join("\n"),
  );
}

function absent({ shown }: NamedFile): CommandError {
  return new CommandError(`The path ${shown} does not exist. Please provide a valid path.`);
}
