/**
 * What the tools with commands (view, create, str_replace, insert) have in common. Every change is computed from what is
 * there at that moment, under the lock of the store that has one.
 * @module
 */
import type { RoutedFiles } from "../../files/router.ts";
import { type FileActor, FileError, type FileStatus } from "../../files/store.ts";
import { decodeText, encodeText, hasReturns, splitByText, toReturns } from "../../files/text.ts";
import { relativePath } from "../../files/path.ts";

/** A file as the model named it, and as it is. */
export interface NamedFile {
  readonly files: RoutedFiles;
  readonly actor: FileActor;
  readonly path: string;
  /** In answers. */
  readonly shown: string;
}

/** An answer for the model that is an error of its own making, in the words of its tool. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

const mostLines = 999_999;
const numberWidth = 6;

export function numberLines(lines: readonly string[], first: number): string {
  return lines.map((line, index) => `${String(first + index).padStart(numberWidth)}\t${line}`).join("\n");
}

/** Lines of a view, the last one empty where the file ends with a line feed. */
export async function viewLines(file: NamedFile, range: readonly number[] | undefined): Promise<string> {
  const text = decodeText((await file.files.read(file.path)).bytes);
  if (text === null) throw new CommandError(`Unsupported file type for ${file.shown}`);
  const lines = text.split(/\r?\n/);
  if (lines.length > mostLines) {
    throw new CommandError(
      `File ${file.shown} has too many lines (${lines.length}). Maximum is ${mostLines.toLocaleString("en")} lines.`,
    );
  }
  const [first = 1, last = -1] = range ?? [];
  const start = Math.max(1, first);
  return numberLines(lines.slice(start - 1, last === -1 ? lines.length : last), start);
}

/** Entries of one directory. */
const mostEntries = 500;
const shownLevels = 2;

/** `SIZE⇥PATH`, the directory itself first; a directory's size is that of the files that are shown in it. */
export async function viewDirectory({ files, path, shown }: NamedFile): Promise<string> {
  const below = await collect(files, path, 1);
  const bytes = below.filter((entry) => entry.kind === "file").reduce((sum, entry) => sum + entry.size, 0);
  const lines = below.map((entry) => {
    const name = `${shown}/${relativePath(path, entry.path)}`;
    return `${formatSize(entry.size)}\t${entry.kind === "directory" ? `${name}/` : name}`;
  });
  return [`${formatSize(bytes)}\t${shown}`, ...lines].join("\n");
}

async function collect(files: RoutedFiles, directory: string, level: number): Promise<FileStatus[]> {
  const found: FileStatus[] = [];
  for (const entry of await files.list(directory, mostEntries)) {
    const name = relativePath(directory, entry.path);
    if (name.startsWith(".") || name === "node_modules" || entry.kind === "other") continue;
    const inside = entry.kind === "directory" && level < shownLevels ? await collect(files, entry.path, level + 1) : [];
    const size =
      entry.kind === "file"
        ? entry.size
        : inside.reduce((sum, { kind, size }) => sum + (kind === "file" ? size : 0), 0);
    found.push({ ...entry, size }, ...inside);
  }
  return found;
}

/** @example formatSize(1536) // "1.5K" */
export function formatSize(bytes: number): string {
  if (bytes === 0) return "0B";
  const units = ["B", "K", "M", "G"] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log(bytes) / Math.log(1024)));
  const size = bytes / 1024 ** power;
  return `${size % 1 === 0 ? size : size.toFixed(1)}${units[power] ?? "G"}`;
}

/** The text after a change, and the first line of it that differs, from 1. */
export interface ChangedText {
  readonly lines: readonly string[];
  readonly line: number;
}

/** @throws CommandError when the text is not there exactly once */
export async function replaceOnce(file: NamedFile, oldText: string, newText: string): Promise<ChangedText> {
  return changeText(file, (text) => {
    const split = splitByText(text, { oldText, newText });
    const height = linesIn(oldText);
    let above = 0;
    const numbers = split.pieces.slice(0, -1).map((piece, index) => {
      above += linesIn(piece) + (index === 0 ? 0 : height);
      return above + 1;
    });
    const [line] = numbers;
    if (line === undefined)
      throw new CommandError(
        `No replacement was performed, old_str \`${oldText}\` did not appear verbatim in ${file.shown}.`,
      );
    if (numbers.length > 1) {
      const where = [...new Set(numbers)].join(", ");
      throw new CommandError(
        `No replacement was performed. Multiple occurrences of old_str \`${oldText}\` in lines: ${where}. Please ensure it is unique`,
      );
    }
    return { text: split.pieces.join(split.newText), line };
  });
}

/** Line feeds. */
function linesIn(text: string): number {
  return text.split("\n").length - 1;
}

/** Puts lines after line `after`; zero is the beginning. The file keeps its line ends. */
export async function insertLines(file: NamedFile, after: number, inserted: string): Promise<ChangedText> {
  return changeText(file, (text) => {
    const lines = text.split("\n");
    if (after > lines.length) {
      throw new CommandError(
        `Invalid \`insert_line\` parameter: ${after}. It should be within the range of lines of the file: [0, ${lines.length}]`,
      );
    }
    const plain = inserted.replace(/\r?\n$/, "");
    const isLast = after === lines.length;
    const returns = hasReturns(text);
    lines.splice(after, 0, returns ? `${toReturns(plain)}${isLast ? "" : "\r"}` : plain);
    return { text: lines.join("\n"), line: after + 1 };
  });
}

async function changeText(
  { files, actor, path, shown }: NamedFile,
  change: (text: string) => { readonly text: string; readonly line: number },
): Promise<ChangedText> {
  let changed: ChangedText | null = null;
  await files.transform(
    [path],
    (before) => {
      const bytes = before.get(path);
      if (bytes === undefined) throw new FileError("not_found", `${path} does not exist.`);
      const text = decodeText(bytes);
      if (text === null) throw new CommandError(`Unsupported file type for ${shown}`);
      const after = change(text);
      changed = { lines: after.text.split(/\r?\n/), line: after.line };
      return new Map([[path, encodeText(after.text)]]);
    },
    actor,
  );
  if (changed === null) throw new Error(`nothing was computed for ${path}`);
  return changed;
}

/** The changed line with some around it, numbered. */
export function snippet({ lines, line }: ChangedText, around: number, height = 1): string {
  const start = Math.max(0, line - 1 - around);
  return numberLines(lines.slice(start, line - 1 + height + around), start + 1);
}
