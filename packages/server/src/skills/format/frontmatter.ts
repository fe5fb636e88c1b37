/**
 * The head of a SKILL.md: YAML between two lines of three hyphens. Every value is read as the text that stands there (the
 * failsafe schema of YAML 1.2), so `version: 1.10` stays `1.10`; nothing is constructed, and no alias is followed.
 * @module
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { quote, type SkillProblem } from "./problem.ts";

/** Bytes. */
export const longestFrontmatter = 64 * 1024;

export type FrontmatterValue =
  | { readonly type: "text"; readonly text: string; readonly line: number }
  | { readonly type: "list"; readonly items: readonly FrontmatterValue[]; readonly line: number }
  | { readonly type: "map"; readonly entries: readonly FrontmatterEntry[]; readonly line: number }
  /** An alias, or a value deeper than anything the format has. */
  | { readonly type: "other"; readonly line: number };

export interface FrontmatterEntry {
  readonly key: string;
  /** Of the key, 1-based, counted from the beginning of the file. */
  readonly line: number;
  readonly value: FrontmatterValue;
}

export interface Frontmatter {
  readonly entries: readonly FrontmatterEntry[];
  /** The Markdown below it. */
  readonly body: string;
  /** Line of the closing hyphens. */
  readonly endLine: number;
}

export type FrontmatterOutcome =
  | { readonly type: "read"; readonly frontmatter: Frontmatter }
  | { readonly type: "broken"; readonly problems: readonly SkillProblem[] };

const delimiter = /^---[ \t]*$/;

/**
 * @param file How problems name it.
 * @example readFrontmatter("---\nname: review\n---\n# Review", "SKILL.md")
 */
export function readFrontmatter(text: string, file: string): FrontmatterOutcome {
  const lines = (text.startsWith("\ufeff") ? text.slice(1) : text).split(/\r\n|\n|\r/);
  if (!delimiter.test(lines[0] ?? "")) {
    const message = "the file must begin with a line of three hyphens (---), then `name` and `description`.";
    return broken({ file, line: 1, rule: "frontmatter-missing", message });
  }
  const end = lines.findIndex((line, index) => index > 0 && delimiter.test(line));
  if (end === -1) {
    const message = "the frontmatter that begins here has no end: close it with a line of three hyphens (---).";
    return broken({ file, line: 1, rule: "frontmatter-unclosed", message });
  }
  const head = lines.slice(1, end).join("\n");
  if (Buffer.byteLength(head) > longestFrontmatter) {
    const message = `the frontmatter is longer than ${longestFrontmatter} bytes: what is long belongs below it.`;
    return broken({ file, line: 1, rule: "frontmatter-size", message });
  }
  const parsed = readMapping(head, file);
  if (parsed.type === "broken") return parsed;
  const body = lines.slice(end + 1).join("\n");
  return { type: "read", frontmatter: { entries: parsed.entries, body, endLine: end + 1 } };
}

function broken(...problems: SkillProblem[]): Extract<FrontmatterOutcome, { type: "broken" }> {
  return { type: "broken", problems };
}

type MappingOutcome =
  | { readonly type: "mapping"; readonly entries: readonly FrontmatterEntry[] }
  | Extract<FrontmatterOutcome, { type: "broken" }>;

function readMapping(head: string, file: string): MappingOutcome {
  const lineCounter = new LineCounter();
  // The first line of the YAML is the second of the file.
  const lineAt = (offset: number) => lineCounter.linePos(offset).line + 1;
  const document = parseDocument(head, {
    lineCounter,
    schema: "failsafe",
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: "silent",
  });
  const [fault] = document.errors;
  if (fault !== undefined) {
    const message = `the frontmatter is not YAML that can be read: ${reasonOf(fault.message)}`;
    return broken({ file, line: lineAt(fault.pos[0]), rule: "frontmatter-yaml", message });
  }
  const { contents } = document;
  if (!isMap(contents)) {
    const message = "the frontmatter must be keys with values, such as `name: my-skill`.";
    return broken({ file, line: 2, rule: "frontmatter-mapping", message });
  }
  const value = valueOf(contents, lineAt, 0);
  return { type: "mapping", entries: value.type === "map" ? value.entries : [] };
}

/** The parser's sentence, with what its readers trip over most often. */
function reasonOf(message: string): string {
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return /compact mappings|implicit map/i.test(message)
    ? `${sentence} A value that holds a colon followed by a space needs quotes around it.`
    : sentence;
}

/** Levels of values: a map of the top, and a list or a map in it. */
const deepest = 3;

function valueOf(node: Node | null, lineAt: (offset: number) => number, depth: number): FrontmatterValue {
  const line = lineAt(node?.range?.[0] ?? 0);
  if (node === null) return { type: "text", text: "", line };
  if (isScalar(node)) {
    const text = typeof node.value === "string" ? node.value : (node.source ?? "");
    return { type: "text", text, line };
  }
  if (isAlias(node) || depth >= deepest) return { type: "other", line };
  if (isSeq<Node | null>(node)) {
    return { type: "list", items: node.items.map((item) => valueOf(item, lineAt, depth + 1)), line };
  }
  if (isMap<Node | null, Node | null>(node)) {
    const entries = node.items.map(({ key, value }) => ({
      key: isScalar(key) && typeof key.value === "string" ? key.value : quote(String(key)),
      line: lineAt(key?.range?.[0] ?? 0),
      value: valueOf(value, lineAt, depth + 1),
    }));
    return { type: "map", entries, line };
  }
  return { type: "other", line };
}
