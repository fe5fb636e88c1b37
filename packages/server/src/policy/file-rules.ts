/**
 * Which files the tools of an agent may read and write. A rule only takes away: whatever no rule is about is allowed,
 * and of several the strictest decides. What may not be read is not there for the agent: it is neither found nor listed,
 * and the store is never asked. Pure.
 * @module
 */
import type { FileRule } from "@exoloop/protocol/tools";
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
  let strictest: Decision = "allow";
  for (const rule of rules) {
    const isAbout = rule.action === action || (rule.action === "file.read" && rule.decision === "deny");
    if (isAbout && strictness[rule.decision] > strictness[strictest] && covers(rule.path, path))
      strictest = rule.decision;
  }
  return strictest;
}

/** Whether a person is to be asked first. What is denied need not be: it is not there. */
export function asksAbout(rules: readonly FileRule[], { action, path, tree = false }: FileUse): boolean {
  return rules.some(
    (rule) =>
      rule.decision === "ask" &&
      rule.action === action &&
      (covers(rule.path, path) || (tree && covers(path, rule.path))),
  );
}

/** Whether a rule is about anything at a path or below it: what is done to a whole directory is refused. */
export function hasRuleBelow(rules: readonly FileRule[], path: string): boolean {
  return rules.some((rule) => covers(rule.path, path) || covers(path, rule.path));
}

/** A rule is about its path and all below; its segments may be `*`. */
function covers(outer: string, inner: string): boolean {
  const [rule, path] = [segmentsOf(outer), segmentsOf(inner)];
  return (
    rule.length <= path.length &&
    rule.every((segment, index) => segment === path[index] || segment === "*" || path[index] === "*")
  );
}

function segmentsOf(path: string): readonly string[] {
  return path.split("/").filter((segment) => segment !== "");
}
