/**
 * Reads a patch in the format of `apply_patch` (V4A), which has no line numbers: what changes is found by the lines
 * around it. Pure.
 *
 * ```
 * *** Begin Patch
 * *** Update File: src/a.py
 * *** Move to: src/b.py          (optional)
 * @@ class A                     (optional: begin to look below this line; several narrow it down)
 *  a line that stays
 * -a line that goes
 * +a line that comes
 * *** End of File                (optional: the lines above are the last ones)
 * *** Add File: c.txt
 * +its only line
 * *** Delete File: d.txt
 * *** End Patch
 * ```
 * @module
 */

/** A line of a patch: it stays, goes or comes. */
export interface PatchLine {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

/** Lines that belong together: those that stay or go are looked for as one. */
export interface Chunk {
  /** Lines to look for first, one after the other; the chunk lies below the last. */
  readonly anchors: readonly string[];
  readonly lines: readonly PatchLine[];
  /** The lines are the file's last. */
  readonly atEnd: boolean;
}

export type FilePatch =
  | { readonly type: "add"; readonly path: string; readonly text: string }
  | { readonly type: "delete"; readonly path: string }
  | {
      readonly type: "update";
      readonly path: string;
      readonly moveTo: string | null;
      readonly chunks: readonly Chunk[];
    };

/** What is wrong with a patch, for the model. */
export class PatchError extends Error {
  override readonly name = "PatchError";
}

/** Of one patch. */
const mostFiles = 1_000;

const marks = {
  begin: "*** Begin Patch",
  end: "*** End Patch",
  add: "*** Add File: ",
  delete: "*** Delete File: ",
  update: "*** Update File: ",
  move: "*** Move to: ",
  endOfFile: "*** End of File",
} as const;

interface Cursor {
  readonly lines: readonly string[];
  at: number;
}

/**
 * @throws PatchError
 * @example parsePatch("*** Begin Patch\n*** Delete File: a\n*** End Patch") // [{ type: "delete", path: "a" }]
 */
export function parsePatch(text: string): readonly FilePatch[] {
  const lines = unwrap(text.split(/\r?\n/));
  if (lines[0]?.trim() !== marks.begin)
    throw new PatchError(`Invalid patch: The first line of the patch must be '${marks.begin}'`);
  if (lines.at(-1)?.trim() !== marks.end)
    throw new PatchError(`Invalid patch: The last line of the patch must be '${marks.end}'`);
  const cursor: Cursor = { lines: lines.slice(1, -1), at: 0 };
  const patches: FilePatch[] = [];
  while (cursor.at < cursor.lines.length) {
    const line = cursor.lines[cursor.at] ?? "";
    if (line.trim() === "") cursor.at += 1;
    else patches.push(parseFile(cursor, line));
    if (patches.length > mostFiles)
      throw new PatchError(`Invalid patch: it names more than ${mostFiles} files: send several patches.`);
  }
  if (patches.length === 0) throw new PatchError("Invalid patch: it names no file.");
  return patches;
}

/** Without empty lines around it, and without the shell's here-document that some models put it in. */
function unwrap(lines: readonly string[]): string[] {
  const text = lines.join("\n").trim().split("\n");
  const isWrapped = /^(?:apply_patch\s+)?<<\s*['"]?\w+['"]?$/.test(text[0]?.trim() ?? "") && text.length > 2;
  return isWrapped ? text.slice(1, -1) : text;
}

function parseFile(cursor: Cursor, line: string): FilePatch {
  cursor.at += 1;
  const path = (mark: string) => {
    const name = line.slice(mark.length).trim();
    if (name === "") throw new PatchError(`Invalid patch hunk on line ${cursor.at + 1}: the path is empty.`);
    return name;
  };
  if (line.startsWith(marks.delete)) return { type: "delete", path: path(marks.delete) };
  if (line.startsWith(marks.add)) return { type: "add", path: path(marks.add), text: addedText(cursor) };
  if (line.startsWith(marks.update)) {
    const moved = cursor.lines[cursor.at]?.startsWith(marks.move) === true;
    const moveTo = moved ? (cursor.lines[cursor.at] ?? "").slice(marks.move.length).trim() : null;
    if (moved) cursor.at += 1;
    const chunks = parseChunks(cursor);
    if (chunks.length === 0 && moveTo === null)
      throw new PatchError(`Invalid patch hunk: Update file hunk for path '${path(marks.update)}' is empty`);
    return { type: "update", path: path(marks.update), moveTo, chunks };
  }
  throw new PatchError(
    `Invalid patch hunk on line ${cursor.at + 1}: '${line.trim().slice(0, 200)}' is not a valid hunk header. Valid hunk headers: '*** Add File: {path}', '*** Delete File: {path}', '*** Update File: {path}'`,
  );
}

function addedText(cursor: Cursor): string {
  const lines: string[] = [];
  for (; isBody(cursor); cursor.at += 1) {
    const line = cursor.lines[cursor.at] ?? "";
    if (!line.startsWith("+"))
      throw new PatchError(`Invalid patch hunk on line ${cursor.at + 2}: a line of a new file must begin with '+'.`);
    lines.push(line.slice(1));
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** Whether the line belongs to the file whose header was read. */
function isBody({ lines, at }: Cursor): boolean {
  const line = lines[at];
  return line !== undefined && (!line.startsWith("*** ") || line.trim() === marks.endOfFile);
}

/** A chunk while it is read. */
interface OpenChunk {
  anchors: string[];
  lines: PatchLine[];
  atEnd: boolean;
}

const emptyChunk = (): OpenChunk => ({ anchors: [], lines: [], atEnd: false });

function parseChunks(cursor: Cursor): readonly Chunk[] {
  const chunks: Chunk[] = [];
  let open = emptyChunk();
  const close = () => {
    if (open.lines.length > 0) chunks.push(open);
    open = emptyChunk();
  };
  for (; isBody(cursor); cursor.at += 1) {
    const line = cursor.lines[cursor.at] ?? "";
    if (line.startsWith("@@")) {
      if (open.lines.length > 0) close();
      const anchor = anchorOf(line);
      if (anchor !== "") open.anchors.push(anchor);
    } else if (line.trim() === marks.endOfFile) {
      open.atEnd = true;
      close();
    } else open.lines.push(patchLine(line, cursor.at + 2));
  }
  close();
  return chunks;
}

/** What a unified diff puts there, numbers of lines, is no text of the file. */
function anchorOf(line: string): string {
  return line
    .slice(2)
    .replace(/^ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@/, "")
    .trim();
}

function patchLine(line: string, number: number): PatchLine {
  // Editors and models drop the space that an empty line of context begins with.
  const mark = line === "" ? " " : line[0];
  if (mark === " " || mark === "-" || mark === "+") return { mark, text: line.slice(1) };
  throw new PatchError(
    `Invalid patch hunk on line ${number}: Unexpected line found in update hunk: '${line.slice(0, 200)}'. Every line should start with ' ' (context line), '+' (added line), or '-' (removed line)`,
  );
}

/** The chunks of one file's diff, which has neither a header nor an end. */
export function parseDiff(diff: string): readonly Chunk[] {
  const cursor: Cursor = { lines: trimLast(diff.split(/\r?\n/)), at: 0 };
  const chunks = parseChunks(cursor);
  if (cursor.at < cursor.lines.length)
    throw new PatchError(`Invalid diff on line ${cursor.at + 1}: a header of a file has no place in it.`);
  return chunks;
}

/** The content of a new file from its diff: every line with a plus. */
export function parseAdded(diff: string): string {
  return addedText({ lines: trimLast(diff.split(/\r?\n/)), at: 0 });
}

function trimLast(lines: readonly string[]): readonly string[] {
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
