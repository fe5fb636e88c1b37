/**
 * What one file was through time, and what it would be without the changes of one session. Pure.
 *
 * A file's history is a row of states. Each run of changes of the session in it, the newest first, is taken back: where
 * what is there now is what the run left, it becomes what was before the run; where others changed it since, the run's
 * inverse is merged into it (three-way, with the state after the run as the base).
 * @module
 */
import { mergeTexts } from "../../merge.ts";

/** A file at some moment; null: it did not exist. */
export type FileState = {
  readonly path: string;
  readonly sha256: string;
  readonly executable: boolean;
} | null;

/** One change in the history of a file, and whether it is to be undone. */
export interface LineageStep {
  readonly state: FileState;
  readonly undone: boolean;
}

export interface WithoutSession {
  readonly state: FileState;
  /** Set where contents had to be merged. */
  readonly text: string | null;
  /** Why some of the changes are still in it; null: none is. */
  readonly kept: string | null;
}

/** The text of a content; null where it is binary, too large or redacted. */
export type TextOf = (sha256: string) => string | null;

interface Run {
  readonly before: FileState;
  readonly after: FileState;
}

/** The session's runs, the newest first. */
function runsOf(steps: readonly LineageStep[]): readonly Run[] {
  const runs: Run[] = [];
  let before: FileState = null;
  let open: FileState | undefined;
  for (const [index, step] of steps.entries()) {
    const previous = steps[index - 1];
    if (step.undone && open === undefined) open = previous?.state ?? null;
    const next = steps[index + 1];
    if (open !== undefined && step.undone && next?.undone !== true) {
      before = open;
      runs.unshift({ before, after: step.state });
      open = undefined;
    }
  }
  return runs;
}

/**
 * @param steps The whole history of the file, the oldest first.
 * @param head What it is now.
 */
export function withoutSession(steps: readonly LineageStep[], head: FileState, textOf: TextOf): WithoutSession {
  let state = head;
  let text: string | null = null;
  for (const run of runsOf(steps)) {
    const taken = takeBack(run, state, text, textOf);
    // What is older has become part of what others have made of it.
    if ("reason" in taken) return { state, text, kept: taken.reason };
    ({ state, text } = taken);
  }
  return { state, text, kept: null };
}

type TakenBack = { readonly state: FileState; readonly text: string | null } | { readonly reason: string };

function takeBack({ before, after }: Run, now: FileState, nowText: string | null, textOf: TextOf): TakenBack {
  if (nowText === null && sameState(now, after)) return { state: before, text: null };
  if (nowText === null && sameState(now, before)) return { state: now, text: null };
  if (after === null) {
    return now === null
      ? { state: before, text: null }
      : { reason: "it was deleted, and others have made it again since" };
  }
  if (before === null) {
    return now === null ? { state: null, text: null } : { reason: "others have changed it since it was made" };
  }
  if (now === null) return { reason: "others have deleted it since" };
  const path = now.path === after.path ? before.path : now.path;
  const executable = now.executable === after.executable ? before.executable : now.executable;
  if (after.sha256 === before.sha256) return { state: { ...now, path, executable }, text: nowText };
  if (nowText === null && now.sha256 === after.sha256)
    return { state: { path, executable, sha256: before.sha256 }, text: null };
  const [base, ours, theirs] = [textOf(after.sha256), textOf(before.sha256), nowText ?? textOf(now.sha256)];
  if (base === null || ours === null || theirs === null)
    return { reason: "others have changed it since, and it cannot be merged: a content is binary or redacted" };
  const merged = mergeTexts(base, ours, theirs);
  if (merged.type === "conflict") return { reason: "others have changed the same lines since" };
  return { state: { ...now, path, executable }, text: merged.text === theirs && nowText === null ? null : merged.text };
}

export function sameState(left: FileState, right: FileState): boolean {
  if (left === null || right === null) return left === right;
  return left.path === right.path && left.sha256 === right.sha256 && left.executable === right.executable;
}
