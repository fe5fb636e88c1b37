/**
 * Which files the tools of an agent may read and write. A rule only takes away: whatever no rule is about is allowed,
 * and of several the strictest decides. What may not be read is not there for the agent: it is neither found nor listed,
 * and the store is never asked. Pure.
 * @module
 */
import type { FileRule } from "@exoloop/protocol/tools";
import { foldPath } from "../files/path.ts";
import type { Decision } from "./decide-call.ts";

export type FileAction = FileRule["action"];

/** One file that a call would read or write. */
export interface FileUse {
  readonly action: FileAction;
  /** Absolute and normal; a segment `*` stands for any. */
  readonly path: string;
  /** Everything below the path, too: a search. */
  readonly tree?: boolean;
}

const strictness = { allow: 0, ask: 1, deny: 2 } as const;

/**
 * Writing is also decided by what is said of reading: who may not see a file may not change it.
 * @example decideFile([{ action: "file.read", path: "/memory/org/hr", decision: "deny" }], use("/memory/org/hr/a")) // "deny"
 */
export function decideFile(rules: readonly FileRule[], { action, path }: Omit<FileUse, "tree">): Decision {
  const used = segmentsOf(path);
  let strictest: Decision = "allow";
  for (const rule of rules) {
    const isAbout = rule.action === action || (rule.action === "file.read" && rule.decision === "deny");
    if (isAbout && strictness[rule.decision] > strictness[strictest] && covers(placeOf(rule), used))
      strictest = rule.decision;
  }
  return strictest;
}

/**
 * Whether a person is to be asked first. What is denied need not be: it is not there. Writing asks where reading does:
 * a tool may show a part of what it changes, or move it to where nobody asks.
 */
export function asksAbout(rules: readonly FileRule[], { action, path, tree = false }: FileUse): boolean {
  const used = segmentsOf(path);
  return rules.some(
    (rule) =>
      rule.decision === "ask" &&
      (rule.action === action || rule.action === "file.read") &&
      (covers(placeOf(rule), used) || (tree && covers(used, placeOf(rule)))),
  );
}

/** Whether a rule is about anything at a path or below it: what is done to a whole directory is refused. */
export function hasRuleBelow(rules: readonly FileRule[], path: string): boolean {
  const used = segmentsOf(path);
  return rules.some((rule) => covers(placeOf(rule), used) || covers(used, placeOf(rule)));
}

type Segments = readonly string[];

/** A rule is about its path and all below; its segments may be `*`. */
function covers(outer: Segments, inner: Segments): boolean {
  return (
    outer.length <= inner.length &&
    outer.every((segment, index) => segment === inner[index] || segment === "*" || inner[index] === "*")
  );
}

/** Of rules that were asked before: a search asks them of each file that it finds. */
const places = new WeakMap<FileRule, Segments>();

function placeOf(rule: FileRule): Segments {
  const known = places.get(rule);
  if (known !== undefined) return known;
  const segments = segmentsOf(rule.path);
  places.set(rule, segments);
  return segments;
}

/**
 * Letters are compared in Unicode's composed form and without their case: whichever way a store tells names apart, a rule
 * is about all of them.
 */
function segmentsOf(path: string): Segments {
  return foldPath(path)
    .split("/")
    .filter((segment) => segment !== "");
}
