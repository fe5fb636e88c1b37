/** `exoloop files ls|cat|write|edit|rm|mv|mkdir|find|grep`. @module */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { FileChange, StoredFile } from "@exoloop/protocol/filesystem";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import type { FileMoment } from "../files-api.ts";
import { largestLimit } from "../limit.ts";
import { escapeForTerminal, escapeToLine } from "../render/escape.ts";
import { tableLines } from "../render/table.ts";

interface JsonOption {
  readonly json?: boolean;
}

export interface MomentOptions {
  readonly version?: number;
  readonly revision?: number;
  readonly at?: Date;
}

/** @throws CommandError when two states are asked for at once */
export function momentOf({ version, revision, at }: MomentOptions): FileMoment {
  if ([version, revision, at].filter((given) => given !== undefined).length > 1)
    throw new CommandError("Only one of --version, --revision and --at can be meant.", exitCodes.usage);
  return {
    ...(version === undefined ? {} : { version }),
    ...(revision === undefined ? {} : { revision }),
    ...(at === undefined ? {} : { at }),
  };
}

export async function listFiles(context: CommandContext, path: string, options: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const entry = await api.file(path);
  const entries: StoredFile[] = [];
  if (entry.type === "file") entries.push(entry);
  else for await (const found of api.directory(path)) entries.push(found);
  if (options.json === true) writeJson(context.output, { data: entries });
  else if (entries.length === 0) writeLine(context.progress, "Nothing is stored here.");
  else for (const line of fileTable(entries, context)) writeLine(context.output, line);
  return exitCodes.ok;
}

/** Exported for its test. */
export function fileTable(entries: readonly StoredFile[], terminal: Parameters<typeof tableLines>[2]): string[] {
  const rows = entries.map((entry) => [
    entry.version === null ? "" : `v${entry.version}`,
    entry.type === "directory" ? "" : String(entry.size_bytes),
    entry.updated_at === null ? "" : entry.updated_at.replace("T", " ").slice(0, 16),
    entry.updated_by_user_id ?? entry.updated_by_session_id ?? "",
    `${entry.untrusted ? "untrusted" : ""}${entry.executable ? " x" : ""}`.trim(),
    `${entry.path}${entry.type === "directory" ? "/" : ""}`,
  ]);
  return tableLines(["VERSION", "BYTES", "CHANGED (UTC)", "BY", "MARKS", "PATH"], rows, terminal);
}

/** As it is where the output is no terminal: what a model wrote could otherwise control the terminal. */
export async function printFile(context: CommandContext, path: string, options: MomentOptions): Promise<ExitCode> {
  const api = await context.connect();
  const { bytes } = await api.readStoredFile(path, momentOf(options));
  if (context.output.isTTY === true) context.output.write(escapeForTerminal(Buffer.from(bytes).toString("utf8")));
  else context.output.write(bytes);
  return exitCodes.ok;
}

export interface WriteOptions extends JsonOption {
  /** A local file; standard input without it. */
  readonly from?: string;
  /** The version that is to be replaced; 0: it must not exist yet. */
  readonly expect?: number;
  readonly executable?: boolean;
}

export async function writeFileTo(context: CommandContext, path: string, options: WriteOptions): Promise<ExitCode> {
  const bytes = options.from === undefined ? await readAll(process.stdin) : await readLocal(options.from);
  const { expect } = options;
  const change = {
    ...putOf(path, bytes),
    ...(options.executable === true ? { executable: true } : {}),
    ...(expect === undefined ? {} : { expected_version: expect === 0 ? null : expect }),
  };
  return commitOne(context, change, options);
}

/** Text goes as it is, anything else in base64. */
export function putOf(path: string, bytes: Uint8Array): Extract<FileChange, { type: "put" }> {
  const text = Buffer.from(bytes);
  const isText = !bytes.includes(0) && Buffer.from(text.toString("utf8")).equals(text);
  return isText
    ? { type: "put", path, content: text.toString("utf8") }
    : { type: "put", path, content: text.toString("base64"), encoding: "base64" };
}

async function commitOne(context: CommandContext, change: FileChange, { json }: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const commit = await api.commitFiles({ changes: [change] });
  if (json === true) writeJson(context.output, commit);
  else {
    const version = commit.files[0]?.version;
    const shown = version === undefined ? "" : ` (v${version})`;
    const place = change.type === "move" ? `${change.path} → ${change.to}` : change.path;
    writeLine(context.progress, `${escapeToLine(place)}${shown}: revision ${commit.revision} of ${commit.mount}`);
  }
  return exitCodes.ok;
}

export function removeFile(
  context: CommandContext,
  path: string,
  options: JsonOption & { readonly recursive?: boolean },
): Promise<ExitCode> {
  const recursive = options.recursive === true ? { recursive: true } : {};
  return commitOne(context, { type: "delete", path, ...recursive }, options);
}

export function moveFile(context: CommandContext, from: string, to: string, options: JsonOption): Promise<ExitCode> {
  return commitOne(context, { type: "move", path: from, to }, options);
}

export function makeDirectory(context: CommandContext, path: string, options: JsonOption): Promise<ExitCode> {
  return commitOne(context, { type: "make_directory", path }, options);
}

/** Opens the file in $VISUAL or $EDITOR; what is saved there replaces exactly the version that was opened. */
export async function editFile(context: CommandContext, path: string, options: JsonOption): Promise<ExitCode> {
  const editor = context.environment["VISUAL"] ?? context.environment["EDITOR"] ?? "";
  if (editor.trim() === "") throw new CommandError("Neither VISUAL nor EDITOR is set.", exitCodes.usage);
  const api = await context.connect();
  const before = await api.readStoredFile(path);
  const directory = await mkdtemp(join(tmpdir(), "exoloop-edit-"));
  // The name in the store is not used as it is: only its last part, and of that what is harmless.
  const local = join(directory, basename(path).replace(/[^\w.-]/g, "_") || "file");
  await writeFile(local, before.bytes, { mode: 0o600 });
  await runEditor(editor, local);
  const bytes = await readFile(local);
  if (bytes.equals(before.bytes)) {
    await rm(directory, { recursive: true });
    writeLine(context.progress, "Nothing was changed.");
    return exitCodes.ok;
  }
  try {
    const exitCode = await commitOne(context, { ...putOf(path, bytes), expected_version: before.version }, options);
    await rm(directory, { recursive: true });
    return exitCode;
  } catch (error) {
    writeLine(context.progress, `Your text is kept in ${escapeToLine(local)}.`);
    throw error;
  }
}

/** As git does it: the editor may have arguments of its own, so a shell reads it; the file is an argument. */
function runEditor(editor: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", `${editor} "$1"`, editor, path], { stdio: "inherit" });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new CommandError(`The editor ended with ${code ?? "a signal"}: nothing was changed.`));
    });
  });
}

export async function findStored(
  context: CommandContext,
  path: string,
  glob: string,
  options: JsonOption & { readonly limit: number },
): Promise<ExitCode> {
  const found = await (await context.connect()).findFiles(path, glob, options.limit);
  if (options.json === true) writeJson(context.output, { data: found });
  else for (const entry of found) writeLine(context.output, escapeToLine(entry.path));
  if (found.length === 0) writeLine(context.progress, nothingFound(path, glob));
  if (found.length === options.limit) writeLine(context.progress, moreThan(options.limit));
  return found.length === 0 ? exitCodes.failure : exitCodes.ok;
}

function nothingFound(path: string, glob: string): string {
  const deeper = glob.includes("**") ? "" : `: **/${glob} looks into directories too`;
  return `No path below ${escapeToLine(path)} matches ${escapeToLine(glob)}${escapeToLine(deeper)}.`;
}

function moreThan(limit: number): string {
  return limit < largestLimit ? "There may be more: raise --limit." : "There may be more: look in a smaller place.";
}

export async function searchStored(
  context: CommandContext,
  pattern: string,
  path: string,
  options: JsonOption & { readonly glob?: string; readonly ignoreCase?: boolean; readonly limit: number },
): Promise<ExitCode> {
  const matches = await (
    await context.connect()
  ).searchFiles(path, pattern, {
    limit: options.limit,
    ...(options.glob === undefined ? {} : { glob: options.glob }),
    ...(options.ignoreCase === true ? { ignore_case: true } : {}),
  });
  if (options.json === true) writeJson(context.output, matches);
  else {
    for (const match of matches.data)
      writeLine(context.output, `${escapeToLine(match.path)}:${match.line}:${escapeForTerminal(match.text)}`);
    if (matches.truncated) writeLine(context.progress, moreThan(options.limit));
  }
  return matches.data.length === 0 ? exitCodes.failure : exitCodes.ok;
}

async function readAll(stream: NodeJS.ReadStream): Promise<Buffer> {
  if (stream.isTTY) process.stderr.write("Type the content, then Ctrl-D.\n");
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function readLocal(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new CommandError(`${path} cannot be read: ${why}.`, exitCodes.usage);
  }
}
