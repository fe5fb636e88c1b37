/**
 * A search that is carried out over one file after another: what it asks for is compiled once, texts are handed to it in
 * the order of their paths, and it tells when it has enough. Both stores search through this.
 * @module
 */
import { compileFileType } from "./file-types.ts";
import { compileGlob } from "./glob-pattern.ts";
import { relativePath } from "./path.ts";
import { compileSearchPattern, type LineMatch, type SearchPattern, shortenLine } from "./search-pattern.ts";
import type { GrepFile, GrepLine, GrepRequest, GrepResult } from "./store.ts";

/** Lines before and after a match. */
const mostContext = 100;

export interface Search {
  readonly pattern: SearchPattern;
  /** Whether a file at or below the searched path is searched at all. */
  wants(path: string): boolean;
  /** Takes the matches of the next text; lets others run meanwhile. False: no more are wanted. */
  add(path: string, text: string): Promise<boolean>;
  result(stoppedByTime?: boolean): GrepResult;
}

/** @throws FileError `failed` when the pattern, the glob or the type cannot be used */
export function startSearch(request: GrepRequest): Search {
  const { mode = "lines", maximumMatches } = request;
  const pattern = compileSearchPattern(request.pattern, request.ignoreCase, request.multiline ?? false);
  const filters = pathFilters(request);
  const lines: GrepLine[] = [];
  const files: GrepFile[] = [];
  let left = maximumMatches;
  let more = false;
  const addLines = (path: string, text: string) => {
    // One more than there is room for tells whether there are more.
    const matches = pattern.findLines(text, left + 1);
    if (matches.length > left) more = true;
    const kept = matches.slice(0, left);
    left -= kept.length;
    for (const line of withContext(text, kept, request)) lines.push({ path, ...line });
  };
  const addFile = (path: string, text: string) => {
    const count = pattern.findLines(text, mode === "files" ? 1 : Number.MAX_SAFE_INTEGER).length;
    if (count === 0) return;
    if (left > 0) files.push({ path, count });
    else more = true;
    left -= 1;
  };
  return {
    pattern,
    wants: (path) => path === request.path || filters.every((matches) => matches(relativePath(request.path, path))),
    async add(path, text) {
      if (mode === "lines") addLines(path, text);
      else addFile(path, text);
      // A megabyte takes milliseconds: other requests of this process run in between.
      if (text.length > 100_000) await new Promise((resolve) => setImmediate(resolve));
      return !more;
    },
    result: (stoppedByTime = false) => ({ lines, files, stopped: more ? "maximum" : stoppedByTime ? "time" : null }),
  };
}

function pathFilters({ glob, fileType }: GrepRequest): ((path: string) => boolean)[] {
  const filters = [];
  if (glob?.startsWith("!") === true) {
    const unwanted = compileGlob(glob.slice(1), { anyDepth: true });
    filters.push((path: string) => !unwanted(path));
  } else if (glob !== undefined) filters.push(compileGlob(glob, { anyDepth: true }));
  if (fileType !== undefined) filters.push(compileFileType(fileType));
  return filters;
}

function withContext(text: string, matches: readonly LineMatch[], request: GrepRequest): Omit<GrepLine, "path">[] {
  const before = Math.min(request.before ?? 0, mostContext);
  const after = Math.min(request.after ?? 0, mostContext);
  const shown: Omit<GrepLine, "path">[] = [];
  let lastShown = 0;
  for (const [index, match] of matches.entries()) {
    const preceding = [];
    let start = match.start;
    for (let line = match.line - 1; line > lastShown && line >= match.line - before; line -= 1) {
      start = start < 2 ? 0 : text.lastIndexOf("\n", start - 2) + 1;
      preceding.push({ line, text: lineAt(text, start), isContext: true });
    }
    shown.push(...preceding.reverse(), { line: match.line, text: lineAt(text, match.start), isContext: false });
    lastShown = match.line;
    const next = matches[index + 1]?.line ?? Number.MAX_SAFE_INTEGER;
    let feed = text.indexOf("\n", match.start);
    while (lastShown < match.line + after && lastShown + 1 < next && feed !== -1 && feed + 1 < text.length) {
      lastShown += 1;
      shown.push({ line: lastShown, text: lineAt(text, feed + 1), isContext: true });
      feed = text.indexOf("\n", feed + 1);
    }
  }
  return shown;
}

/** Without its end, and not longer than is shown. */
function lineAt(text: string, start: number): string {
  const feed = text.indexOf("\n", start);
  const end = feed === -1 ? text.length : feed;
  return shortenLine(text.slice(start, end > start && text[end - 1] === "\r" ? end - 1 : end));
}
