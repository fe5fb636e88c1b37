/**
 * What the scripted model writes into its summary of a conversation, and reads from it again. It remembers across a
 * compaction as any model does: through its own words. Pure.
 * @module
 */

const opening = "Summary of the conversation so far.";
const fence = /^```script[ \t]*\r?\n([\s\S]*?)^```[ \t]*$/gm;
const summaryBlock = /<conversation_summary>([\s\S]*?)<\/conversation_summary>/g;
const positionLine = /^script position: (\d{1,6})$/m;

export interface FoundSource {
  readonly source: string;
  /** Steps of it that were played before the message that holds it, as its summary says. */
  readonly played: number;
}

/** `played` is null where no script was being played. */
export function writeSummary(played: number | null, facts: readonly string[]): string {
  const position = played === null ? [] : [`script position: ${played}`];
  return [opening, ...facts, ...position].join("\n");
}

/**
 * The last ```script block of a user's text. A summary counts the steps of the script before it; a script that follows
 * it is newer than the summary, and one within it is only told of.
 */
export function findSource(text: string): FoundSource | null {
  const summary = [...text.matchAll(summaryBlock)].at(-1);
  if (summary === undefined) return lastSource(text, 0);
  const newer = lastSource(text.slice(summary.index + summary[0].length), 0);
  const played = Number(positionLine.exec(summary[1] ?? "")?.[1] ?? 0);
  return newer ?? lastSource(text.slice(0, summary.index).replaceAll(summaryBlock, ""), played);
}

/** Whether a user's text holds what a compaction has left. */
export function holdsSummary(text: string): boolean {
  return text.search(summaryBlock) !== -1;
}

function lastSource(text: string, played: number): FoundSource | null {
  const source = [...text.matchAll(fence)].at(-1)?.[1];
  return source === undefined ? null : { source, played };
}
