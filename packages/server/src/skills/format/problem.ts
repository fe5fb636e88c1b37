/** What is wrong with a skill: where, by which rule, and what to do. Pure. @module */

/** Names of the rules, so that a program need not read sentences. */
export type SkillRule =
  | "file-missing"
  | "file-text"
  | "file-size"
  | "file-path"
  | "file-count"
  | "frontmatter-missing"
  | "frontmatter-unclosed"
  | "frontmatter-size"
  | "frontmatter-yaml"
  | "frontmatter-mapping"
  | "key-unknown"
  | "key-twice"
  | "name-missing"
  | "name-characters"
  | "name-length"
  | "name-hyphens"
  | "name-reserved"
  | "name-directory"
  | "description-missing"
  | "description-length"
  | "description-tags"
  | "value-text"
  | "value-length"
  | "metadata-mapping"
  | "body-empty";

export interface SkillProblem {
  /** As it is named to the reader: `SKILL.md` of a folder, `/skills/review/SKILL.md` of a commit. */
  readonly file: string;
  /** 1-based; null where the whole file is meant. */
  readonly line: number | null;
  readonly rule: SkillRule;
  /** What is wrong and what is right, without file and line. */
  readonly message: string;
}

/** @example describeProblem(problem) // "SKILL.md, line 2: name: …" */
export function describeProblem({ file, line, message }: SkillProblem): string {
  return line === null ? `${file}: ${message}` : `${file}, line ${line}: ${message}`;
}

/** One sentence for an error: the first problem in full, the others counted. */
export function describeProblems(problems: readonly SkillProblem[]): string {
  const [first, ...others] = problems;
  if (first === undefined) return "";
  if (others.length === 0) return describeProblem(first);
  return `${describeProblem(first)} (${others.length} more ${others.length === 1 ? "problem" : "problems"} in this skill.)`;
}

/** Text from a stranger, made fit for a sentence. */
export function quote(text: string, longest = 80): string {
  const shown = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return JSON.stringify(shown.toWellFormed());
}
