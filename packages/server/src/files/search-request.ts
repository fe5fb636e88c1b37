/**
 * A search that is carried out over one file after another: what it asks for is compiled once, texts are handed to it in
 * the order of their paths, and it tells when it has enough. Both stores search through this.
 * @module
 */
import { compileFileType } from "./file-types.ts";
import { compileGlob } from "./glob-pattern.ts";
import { relativePath } from "./path.ts";
import { compileSearchPattern, type SearchPattern, shortenLine } from "./search-pattern.ts";
import type { GrepFile, GrepLine, GrepRequest, GrepResult } from "./store.ts";

/** Lines before and after a match. */
const mostContext = 100;
/** Lines of one search, with those around matches: all are in memory at once. */
const mostLines = 200_000;
/** Of one search. */
const searchTimeMs = 20_000;
/** Of the files: an index that names so many costs more than it saves. */
const frequentShare = 0.3;
/** How long nothing else runs. */
const turnMs = 10;

export interface Search {
  readonly pattern: SearchPattern;
  /** Whether a file at or below the searched path is searched at all. */
  wants(path: string): boolean;
  /** Takes the matches of the next text; lets others run meanwhile. False: no more are wanted, or it took too long. */
  add(path: string, text: string): Promise<boolean>;
  /** Whether an index would not help: what is wanted is in many files, or likely to be found in this many more. */
  isFrequent(files: number): boolean;
  result(): GrepResult;
}

/** @throws FileError `failed` when the pattern, the glob or the type cannot be used */
export function startSearch(request: GrepRequest): Search {
  const { ignoreCase, multiline = false, mode = "lines" } = request;
  const pattern = compileSearchPattern(request.pattern, { ignoreCase, multiline });
  const filters = pathFilters(request);
  const turns = createTurns();
  const lines: GrepLine[] = [];
  const files: GrepFile[] = [];
  let left = request.maximumMatches;
  let [searched, matching] = [0, 0];
  let stopped: GrepResult["stopped"] = null;
  // One more than there is room for tells whether there are more.
  const wanted = () => (mode === "lines" ? left + 1 : mode === "files" || left <= 0 ? 1 : Number.MAX_SAFE_INTEGER);
  const keep = (path: string, text: string, starts: readonly number[]) => {
    const found = mode === "lines" ? starts.length : 1;
    if (found > left) stopped = "maximum";
    if (mode === "lines") lines.push(...describeLines(path, text, starts.slice(0, left), request));
    else if (left > 0) files.push({ path, count: starts.length });
    if (lines.length > mostLines) stopped = "maximum";
    left -= Math.min(found, left);
  };
  return {
    pattern,
    wants: (path) => path === request.path || filters.every((matches) => matches(relativePath(request.path, path))),
    async add(path, text) {
      const search = pattern.search(text, wanted());
      while (!search.advance()) {
        await turns.next();
        if (turns.elapsedMs() > searchTimeMs) break;
      }
      searched += 1;
      if (search.starts.length > 0) {
        matching += 1;
        keep(path, text, search.starts);
      }
      await turns.next();
      if (stopped === null && turns.elapsedMs() > searchTimeMs) stopped = "time";
      return stopped === null;
    },
    isFrequent: (more) =>
      matching > frequentShare * searched || ((request.maximumMatches - left) / searched) * more > 2 * left,
    result: () => ({ lines, files, stopped }),
  };
}

/** Lets others of this process run now and then. */
export function createTurns(): { next(): Promise<void>; elapsedMs(): number } {
  const start = performance.now();
  let turn = start;
  return {
    elapsedMs: () => performance.now() - start,
    async next() {
      if (performance.now() - turn < turnMs) return;
      await new Promise((resolve) => setImmediate(resolve));
      turn = performance.now();
    },
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

interface Place {
  readonly line: number;
  readonly start: number;
}

function describeLines(path: string, text: string, starts: readonly number[], request: GrepRequest): GrepLine[] {
  const before = Math.min(request.before ?? 0, mostContext);
  const after = Math.min(request.after ?? 0, mostContext);
  const shown: GrepLine[] = [];
  const show = ({ line, start }: Place, isContext: boolean) => {
    shown.push({ path, line, text: lineAt(text, start), isContext });
  };
  let place: Place = { line: 1, start: 0 };
  let lastShown = 0;
  for (const [index, start] of starts.entries()) {
    const recent: Place[] = [];
    const next = starts[index + 1] ?? text.length;
    while (place.start < start) {
      if (place.line > lastShown) recent.push(place);
      if (recent.length > before) recent.shift();
      place = lineAfter(text, place);
    }
    for (const context of recent) show(context, true);
    show(place, false);
    place = lineAfter(text, place);
    for (let shownAfter = 0; shownAfter < after && place.start < next; shownAfter += 1) {
      show(place, true);
      place = lineAfter(text, place);
    }
    lastShown = place.line - 1;
  }
  return shown;
}

function lineAfter(text: string, { line, start }: Place): Place {
  const feed = text.indexOf("\n", start);
  return { line: line + 1, start: feed === -1 ? text.length : feed + 1 };
}

/** Without its end, and not longer than is shown. */
function lineAt(text: string, start: number): string {
  const feed = text.indexOf("\n", start);
  const end = feed === -1 ? text.length : feed;
  return shortenLine(text.slice(start, end > start && text[end - 1] === "\r" ? end - 1 : end));
}
