/** What the model is told about files that a command changed. Pure. @module */
import type { StoredFile } from "../postgres/rows.ts";

/** Lines and characters; what exceeds them is counted. */
const mostLines = 40;
const mostCharacters = 6_000;

export const explain = {
  saved: (path: string, base: number | null, version: number) =>
    base === null ? `saved ${path} (new, v${version})` : `saved ${path} (v${base}→v${version})`,
  restored: (path: string, version: number) =>
    `saved ${path} (v${version}): another session had deleted it while your command changed it, so it is back.`,
  merged: (path: string, base: number | null, version: number) =>
    `merged ${path} (${base === null ? "new" : `v${base}`}→v${version}): another session also changed it; both changes are kept, and the file on disk is the merged one.`,
  deleted: (path: string) => `deleted ${path}`,
  keptAgainstDeletion: (path: string, head: StoredFile) =>
    `not deleted: ${path} was changed by another session since (now v${head.version}), so it is back on disk.`,
  conflict: (path: string, base: number | null, head: StoredFile, copy: string | null) => {
    const start = base === null ? "your command created it" : `your command started from v${base}`;
    const who = head.sessionId === null ? "someone" : `session ${head.sessionId}`;
    const kept = copy === null ? "Your version is kept in the history" : `Your version is in ${copy}`;
    return `NOT SAVED ${path}: ${start}, but ${who} saved v${head.version} at ${head.updatedAt.toISOString()}. The file on disk is now v${head.version}. ${kept}. Read ${path}, then apply your change again with edit.`;
  },
  refused: (path: string, why: string) => `not saved: ${path} (${why})`,
  postponed: (count: number) =>
    `not saved yet: ${count} more files changed than are taken at once; they are looked at again after the next command.`,
  unsynchronised: (why: string) =>
    `NOT SAVED: nothing under /memory could be looked at (${why}). Put it right and run any command.`,
  held: (count: number, root: string) =>
    `held: ${count} deletions under ${root} were not carried out, and the files are back: that many at once look like an accident.`,
};

/** Null when there is nothing to tell. */
export function describeSync(lines: readonly string[]): string | null {
  if (lines.length === 0) return null;
  const shown: string[] = [];
  let characters = 0;
  for (const line of lines.slice(0, mostLines)) {
    characters += line.length;
    if (characters > mostCharacters) break;
    shown.push(line);
  }
  if (shown.length < lines.length) shown.push(`… and ${lines.length - shown.length} more.`);
  return ["<files_sync>", ...shown, "</files_sync>"].join("\n");
}
