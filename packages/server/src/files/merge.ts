/**
 * Bringing together two changes of one text. Pure.
 *
 * | ours against base | head against base | result                                    |
 * |-------------------|-------------------|-------------------------------------------|
 * | any               | unchanged         | ours (fast-forward)                       |
 * | equal to head     | any               | nothing to do                             |
 * | appended          | changed           | what was appended goes to the head's end  |
 * | changed elsewhere | changed           | three-way merge by lines                  |
 * | changed there too | changed           | conflict: the head stays, ours is kept    |
 * @module
 */
import { diff3Merge } from "node-diff3";

export type MergeOutcome = { readonly type: "merged"; readonly text: string } | { readonly type: "conflict" };

/** Pairs of equal lines that a comparison may have to weigh; beyond, it would hold up the process. */
const mostPairs = 2_000_000;

/**
 * @param base Null when it is unknown: then only equal texts agree.
 * @example mergeTexts("a\n", "a\nb\n", "a\nc\n") // { type: "merged", text: "a\nc\nb\n" }
 */
export function mergeTexts(base: string | null, ours: string, head: string): MergeOutcome {
  if (ours === head || head === base) return { type: "merged", text: ours };
  if (base === null) return { type: "conflict" };
  if (ours === base) return { type: "merged", text: head };
  if (base !== "" && ours.startsWith(base) && appendsLines(base, ours, head))
    return { type: "merged", text: append(base, ours.slice(base.length), head) };
  const [baseLines, ourLines, headLines] = [base.split("\n"), ours.split("\n"), head.split("\n")];
  if (pairs(baseLines, ourLines) + pairs(baseLines, headLines) > mostPairs) return { type: "conflict" };
  const regions = diff3Merge(ourLines, baseLines, headLines, { excludeFalseConflicts: true });
  const lines: string[] = [];
  for (const region of regions) {
    if (region.ok === undefined) return { type: "conflict" };
    for (const line of region.ok) lines.push(line);
  }
  return { type: "merged", text: lines.join("\n") };
}

/** An addition within the last line goes only where that line still begins the same. */
function appendsLines(base: string, ours: string, head: string): boolean {
  return base.endsWith("\n") || ours.startsWith("\n", base.length) || head.startsWith(base);
}

/** Each line stays a line of its own, whether or not the texts end with a line feed. */
function append(base: string, added: string, head: string): string {
  const startsLine = base.endsWith("\n");
  if (startsLine) return `${head}${head === "" || head.endsWith("\n") ? "" : "\n"}${added}`;
  if (!added.startsWith("\n")) return `${head}${added}`;
  return `${head}${head.endsWith("\n") ? added.slice(1) : added}`;
}

/** How many pairs of equal lines two texts have, up to the limit. */
function pairs(left: readonly string[], right: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const line of left) counts.set(line, (counts.get(line) ?? 0) + 1);
  let total = 0;
  for (const line of right) {
    total += counts.get(line) ?? 0;
    if (total > mostPairs) return total;
  }
  return total;
}

/** The most files that one command may delete: more looks like an accident and is held. */
export function mostDeletions(known: number): number {
  return Math.max(8, Math.min(50, Math.floor(known / 4)));
}

/** Whether deletions are held: too many, or everything that was there, unless that was a single file. */
export function holdsDeletions(deleted: number, known: number): boolean {
  return deleted > mostDeletions(known) || (deleted > 1 && deleted === known);
}
