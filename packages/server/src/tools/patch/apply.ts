/**
 * Applies the chunks of a patch to a text. Lines are looked for from where the last chunk ended: exactly, then without
 * spaces at their ends, then without those at their beginnings, then with plain quotes and dashes in place of
 * typographic ones, as Codex does. Pure.
 * @module
 */
import { hasReturns } from "../../files/text.ts";
import { type Chunk, PatchError, type PatchLine } from "./parse.ts";

/** With its own end. */
interface Line {
  readonly text: string;
  readonly end: string;
}

/**
 * @param work Shared by the files of one patch.
 * @throws PatchError when lines that a chunk needs are not there
 * @example applyChunks("a.txt", "one\ntwo\n", parseDiff("-two\n+2")) // "one\n2\n"
 */
export function applyChunks(path: string, text: string, chunks: readonly Chunk[], work: Work = { looks: 0 }): string {
  const lines = splitLines(text);
  spend(path, work, looksPerLine * lines.length);
  const seek = createSeek(
    path,
    lines.map((line) => line.text),
    work,
  );
  const end = hasReturns(text) ? "\r\n" : "\n";
  const done: Line[] = [];
  let position = 0;
  for (const chunk of chunks) {
    const from = afterAnchors(path, seek, chunk.anchors, position);
    const found = locate(path, seek, chunk, from, lines.length);
    done.push(...lines.slice(position, found.start));
    position = found.start;
    for (const { mark, text: added } of found.lines) {
      if (mark === "+") done.push({ text: added, end });
      else {
        // What stays is the file's own line, with its spaces and its end.
        const own = lines[position];
        if (mark === " " && own !== undefined) done.push(own);
        position += 1;
      }
    }
  }
  done.push(...lines.slice(position));
  return join(done, end, lines.at(-1)?.end !== "");
}

function splitLines(text: string): Line[] {
  return [...text.matchAll(/([^\n]*?)(\r?\n|$)/g)]
    .map(([, line = "", end = ""]) => ({ text: line, end }))
    .filter((line, index, all) => index < all.length - 1 || line.text !== "" || line.end !== "");
}

/** The file's last line has an end where it had one before. */
function join(lines: readonly Line[], end: string, endsWithEnd: boolean): string {
  const last = lines.length - 1;
  return lines
    .map((line, index) => line.text + (index < last ? line.end || end : endsWithEnd ? line.end || end : ""))
    .join("");
}

function afterAnchors(path: string, seek: Seek, anchors: readonly string[], position: number): number {
  let at = position;
  for (const anchor of anchors) {
    const found = seek([anchor], at, false);
    if (found === null) throw new PatchError(`Failed to find context '${anchor}' in ${path}`);
    at = found + 1;
  }
  return at;
}

interface Located {
  readonly start: number;
  readonly lines: readonly PatchLine[];
}

function locate(path: string, seek: Seek, { lines, atEnd, anchors }: Chunk, from: number, fileLines: number): Located {
  const wanted = lines.filter((line) => line.mark !== "+").map((line) => line.text);
  // Only additions: below the anchor, else at the end.
  if (wanted.length === 0) return { start: anchors.length > 0 && !atEnd ? from : fileLines, lines };
  const start = seek(wanted, from, atEnd);
  if (start !== null) return { start, lines };
  // A last empty line of context often means the file's end.
  const lastIndex = lines.findLastIndex((line) => line.mark !== "+");
  if (wanted.length > 1 && wanted.at(-1) === "") {
    const second = seek(wanted.slice(0, -1), from, atEnd);
    if (second !== null) return { start: second, lines: lines.filter((_line, index) => index !== lastIndex) };
  }
  throw new PatchError(`Failed to find expected lines in ${path}:\n${wanted.join("\n")}`);
}

const comparisons: readonly ((line: string) => string)[] = [
  (line) => line,
  (line) => line.trimEnd(),
  (line) => line.trim(),
  (line) =>
    line
      .trim()
      .replaceAll(/[\u2010-\u2015\u2212]/g, "-")
      .replaceAll(/[\u2018-\u201b]/g, "'")
      .replaceAll(/[\u201c-\u201f]/g, '"')
      .replaceAll(/[\u00a0\u2002-\u200a\u202f\u205f\u3000]/g, " "),
];

/** Lines looked at for one patch: one that needs more would hold up the process. */
const mostLooks = 20_000_000;

/** Taking a line out of its file and putting it back takes as long as so many looks. */
const looksPerLine = 10;

/** What was looked at so far. */
export interface Work {
  looks: number;
}

function spend(path: string, work: Work, looks: number): void {
  work.looks += looks;
  if (work.looks > mostLooks) throw new PatchError(`The patch has too many parts for ${path}: apply it in several.`);
}

/** Where lines stand, from a line on; at the end of the file first where they belong there. */
type Seek = (wanted: readonly string[], from: number, atEnd: boolean) => number | null;

function createSeek(path: string, texts: readonly string[], work: Work): Seek {
  const simplified: (readonly string[] | undefined)[] = [];
  return (wanted, from, atEnd) => {
    const last = texts.length - wanted.length;
    for (const [level, simplify] of comparisons.entries()) {
      spend(path, work, texts.length - from + wanted.length);
      const lines = (simplified[level] ??= texts.map(simplify));
      const simple = wanted.map(simplify);
      if (atEnd && last >= from && simple.every((line, index) => lines[last + index] === line)) return last;
      const found = indexOfLines(lines, simple, from);
      if (found !== null) return found;
    }
    return null;
  };
}

/** Knuth, Morris, Pratt: the time is that of reading both once, whatever repeats in them. */
function indexOfLines(lines: readonly string[], wanted: readonly string[], from: number): number | null {
  const fallback = wanted.map(() => 0);
  for (let at = 1, length = 0; at < wanted.length; at += 1) {
    while (length > 0 && wanted[at] !== wanted[length]) length = fallback[length - 1] ?? 0;
    if (wanted[at] === wanted[length]) length += 1;
    fallback[at] = length;
  }
  for (let at = from, length = 0; at < lines.length; at += 1) {
    while (length > 0 && lines[at] !== wanted[length]) length = fallback[length - 1] ?? 0;
    if (lines[at] === wanted[length]) length += 1;
    if (length === wanted.length) return at + 1 - length;
  }
  return null;
}
