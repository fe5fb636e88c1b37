/** What the model is told about files that a command changed, and about those that others did. Pure. @module */
import type { DoneChange } from "../postgres/projection-records.ts";
import type { StoredFile } from "../postgres/rows.ts";

/** Lines and characters; what exceeds them is counted. */
const mostLines = 50;
const mostCharacters = 8_000;

type Head = Pick<StoredFile, "version" | "sessionId" | "userId" | "updatedAt">;

export const explain = {
  /** @param names Of people, by their identifiers. */
  who({ sessionId, userId }: Pick<Head, "sessionId" | "userId">, names: ReadonlyMap<string, string>): string {
    const name = userId === null ? undefined : names.get(userId);
    if (sessionId === null) return name ?? "somebody through the API";
    return name === undefined ? `session ${sessionId}` : `${name} (session ${sessionId})`;
  },
  saved: (path: string, base: number | null, version: number) =>
    base === null ? `saved ${path} (new, v${version})` : `saved ${path} (v${base}→v${version})`,
  made: (path: string) => `made ${path}/`,
  restored: (path: string, version: number) =>
    `saved ${path} (v${version}): another session had deleted it while your command changed it, so it is back.`,
  merged: (path: string, base: number | null, version: number, who: string) =>
    `merged ${path} (${base === null ? "new" : `v${base}`}→v${version}): ${who} also changed it while your command ran; both changes are kept, and the file on disk is the merged one.`,
  deleted: (path: string) => `deleted ${path}`,
  keptAgainstDeletion: (path: string, head: Head, who: string) =>
    `not deleted: ${path} was changed by ${who} since (now v${head.version}), so it is back on disk.`,
  conflict: (path: string, base: number | null, head: Head, who: string, copy: string | null) => {
    const start = base === null ? "your command created it" : `your command started from v${base}`;
    const kept = copy === null ? "Your version is kept in the history" : `Your version is in ${copy}`;
    return `NOT SAVED ${path}: ${start}, but ${who} saved v${head.version} at ${head.updatedAt.toISOString()}. The file on disk is now v${head.version}. ${kept}. Read ${path}, then apply your change again with edit.`;
  },
  refused: (path: string, why: string) => `not saved: ${path} (${why})`,
  inTheWay: (path: string, copy: string | null) =>
    `NOT SAVED ${path}: what is stored there since is another thing, and is on disk now.${copy === null ? "" : ` Your version is in ${copy}.`}`,
  postponed: (count: number) =>
    `not saved yet: ${count} more files changed than are taken at once; they are looked at again after the next command.`,
  unsynchronised: (why: string) =>
    `NOT SAVED: nothing under /memory could be looked at (${why}). Put it right and run any command.`,
  /** @param most How many one command may delete; null when it deleted all there was. */
  held: (count: number, root: string, most: number | null) =>
    `held: ${count} deletions under ${root} were not carried out, and the files are back: ${most === null ? "that is everything there was" : `more than ${most} in one command look like an accident`}. Delete fewer at a time if it is meant.`,
  /** As it was told, or should have been; null for what is not worth a line. */
  done({ path, operation, version, baseVersion }: DoneChange): string | null {
    if (operation === "delete") return explain.deleted(path);
    if (operation === "merge") return explain.merged(path, baseVersion, version, "another session");
    if (operation === "create") return explain.saved(path, null, version);
    return operation === "write" || operation === "edit" ? explain.saved(path, baseVersion, version) : null;
  },
  /** @param head Null: it was deleted. */
  stale: (path: string, known: number, head: Head | null, who: string) =>
    head === null
      ? `deleted by others since you read it: ${path} (you read v${known})`
      : `changed by others since you read it: ${path} v${known}→v${head.version} (${who})`,
  detached: (prefix: string) => `${prefix} is not attached to this session any more, and is gone from the disk.`,
};

export interface SyncReport {
  readonly text: string;
  /** Everything that there is to tell, where the text leaves something out. */
  readonly whole: string | null;
}

/** Names are of anybody's choosing, and a sandbox's may hold anything: none ends its line, or the block. */
function plain(line: string): string {
  return line.replaceAll(/[<>\p{Cc}\p{Zl}\p{Zp}]/gu, "?");
}

/**
 * Null when there is nothing to tell.
 * @param wholeAt Where everything can be read that is left out.
 */
export function describeSync(told: readonly string[], wholeAt: string | null = null): SyncReport | null {
  if (told.length === 0) return null;
  const lines = told.map(plain);
  const shown: string[] = [];
  let characters = 0;
  for (const line of lines.slice(0, mostLines)) {
    characters += line.length;
    if (characters > mostCharacters) break;
    shown.push(line);
  }
  const left = lines.length - shown.length;
  if (left > 0) shown.push(`… and ${left} more${wholeAt === null ? "." : `: all of them are in ${wholeAt}.`}`);
  return {
    text: ["<files_sync>", ...shown, "</files_sync>"].join("\n"),
    whole: left > 0 ? `${lines.join("\n")}\n` : null,
  };
}
