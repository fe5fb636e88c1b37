/** The shape of one source file: its name, its length, the length of its functions, its first words. @module */
import { parseSync } from "oxc-parser";
import type { Finding } from "./finding.ts";

export const limits = { fileLines: 300, functionLines: 60 } as const;

/** Programs that must stay small enough to be read whole, by the folder of their sources; what several have counts in each. */
const programLimits: readonly (readonly [folder: string, lines: number, also?: string])[] = [
  ["packages/sandbox-host/guest/supervisor", 600, "packages/sandbox-host/guest/frames"],
  ["packages/sandbox-host/guest/transfer", 600, "packages/sandbox-host/guest/frames"],
  ["packages/sandbox-host/guest/confine", 180],
  ["packages/sandbox-host/guest/launch", 100],
];

/** A finding that carries the figure that a baseline can hold. */
export interface StructureFinding extends Finding {
  readonly path: string;
  /** Of the function, where the rule is about one. */
  readonly name?: string;
  readonly lines?: number;
}

const emptyNames = new Set(["util", "utils", "helper", "helpers", "types", "index", "common", "misc", "shared"]);

/** All findings in one file. `path` is relative to the repository. */
export function inspectFile(path: string, text: string): StructureFinding[] {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  const findings = [...inspectName(path), ...inspectLength(path, lines)];
  if (path.endsWith(".c")) return [...findings, ...inspectFunctions(path, listCFunctions(text))];
  if (/\.(ts|tsx|mjs)$/.test(path)) {
    return [...findings, ...inspectDocstring(path, text), ...inspectFunctions(path, listFunctions(path, text))];
  }
  return findings;
}

/** All lines of a program's C sources count: it runs where hostile code is its neighbour. */
export function inspectPrograms(
  files: readonly { readonly path: string; readonly text: string }[],
): StructureFinding[] {
  return programLimits.flatMap(([path, most, also = path]) => {
    const isSource = (file: { readonly path: string }): boolean =>
      [path, also].some((folder) => file.path.startsWith(`${folder}/`)) && /\.[ch]$/.test(file.path);
    const sources = files.filter(isSource);
    const lines = sources.reduce((sum, { text }) => sum + text.split("\n").length - (text.endsWith("\n") ? 1 : 0), 0);
    if (lines <= most) return [];
    const what = `${lines} lines in all, at most ${most}`;
    const why = "Who judges whether it may run beside hostile code reads all of it.";
    return [
      { rule: "program-length", path, where: path, lines, what, why, fix: "Let its client do it, or a command." },
    ];
  });
}

function inspectName(path: string): StructureFinding[] {
  const why = "A name says what is inside: the tree is a table of contents.";
  const segments = path.split("/");
  const file = segments.at(-1) ?? "";
  const stem = file.replace(/^\./, "").split(".")[0] ?? "";
  const findings: StructureFinding[] = [];
  for (const segment of [...segments.slice(0, -1), stem]) {
    if (!emptyNames.has(segment)) continue;
    const fix = "Name it after the one thing that it holds; split it when it holds several.";
    findings.push({ rule: "empty-name", path, where: path, what: `"${segment}" says nothing`, why, fix });
  }
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem)) {
    findings.push({
      rule: "file-name",
      path,
      where: path,
      what: `"${stem}" is not kebab-case`,
      why,
      fix: "Rename it: words in small letters, joined by hyphens.",
    });
  }
  return findings;
}

function inspectLength(path: string, lines: number): StructureFinding[] {
  if (lines <= limits.fileLines) return [];
  const what = `${lines} lines, at most ${limits.fileLines}`;
  const why = "A file is read in one sitting.";
  return [
    {
      rule: "file-length",
      path,
      where: path,
      lines,
      what,
      why,
      fix: "Move one of its concerns into a file of its own.",
    },
  ];
}

function inspectDocstring(path: string, text: string): StructureFinding[] {
  const exempt = /\.test\.ts$|^[^/]+\.config\.ts$/.test(path);
  if (exempt || /^(#!.*\n)?\/\*\*[\s\S]*?@module[\s\S]*?\*\//.test(text)) return [];
  const why = "The first line tells a reader whether this is the file to read.";
  return [
    {
      rule: "module-docstring",
      path,
      where: path,
      what: "does not begin with what it is for",
      why,
      fix: "Begin it with  /** One sentence. @module */",
    },
  ];
}

interface FunctionSpan {
  readonly name: string;
  /** Counted from 1. */
  readonly line: number;
  readonly lines: number;
}

function inspectFunctions(path: string, functions: readonly FunctionSpan[]): StructureFinding[] {
  const why = "A function fits on a screen.";
  const fix = "Give a part of it a name: a function beside it.";
  return functions
    .filter(({ lines }) => lines > limits.functionLines)
    .map(({ name, line, lines }) => {
      const what = `${name} has ${lines} lines, at most ${limits.functionLines}`;
      return { rule: "function-length", path, where: `${path}:${line}`, name, lines, what, why, fix };
    });
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return (
    typeof value === "object" && value !== null && "type" in value && typeof value.type === "string" && "start" in value
  );
}

/** Every function of a TypeScript or JavaScript file. The body of `describe` is a list of tests, not a function. */
export function listFunctions(path: string, text: string): FunctionSpan[] {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]?.message ?? "unknown"}`);
  const starts = lineStarts(text);
  const spans: FunctionSpan[] = [];
  const visit = (node: unknown, name: string, parent: Node | null): void => {
    if (Array.isArray(node)) for (const child of node) visit(child, name, parent);
    if (!isNode(node)) return;
    const named = nameOf(node) ?? name;
    if (/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type) && !isDescribe(parent)) {
      const line = lineAt(starts, node.start);
      spans.push({ name: named, line, lines: lineAt(starts, node.end) - line + 1 });
    }
    for (const [key, child] of Object.entries(node)) {
      if (key !== "parent" && typeof child === "object" && child !== null) visit(child, named, node);
    }
  };
  visit(program, "anonymous", null);
  return spans;
}

function nameOf(node: Node): string | null {
  for (const key of ["id", "key"]) {
    const identifier = node[key];
    if (isNode(identifier) && typeof identifier["name"] === "string") return identifier["name"];
  }
  return null;
}

function isDescribe(node: Node | null): boolean {
  if (node?.type !== "CallExpression") return false;
  let callee = node["callee"];
  while (isNode(callee)) {
    if (callee["name"] === "describe") return true;
    callee = callee["object"] ?? callee["callee"] ?? callee["tag"];
  }
  return false;
}

/** By form: a definition begins in the first column and ends with a brace in the first column. */
export function listCFunctions(text: string): FunctionSpan[] {
  const spans: FunctionSpan[] = [];
  let header: { name: string; line: number } | null = null;
  for (const [index, line] of text.split("\n").entries()) {
    const name = /^[a-z_][\w\s*]*?\b(\w+)\s*\(/i.exec(line)?.[1];
    if (name !== undefined && !line.trimEnd().endsWith(";")) header = { name, line: index + 1 };
    if (line.startsWith("}") && header !== null) {
      spans.push({ ...header, lines: index + 2 - header.line });
      header = null;
    }
  }
  return spans;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** Counted from 1; binary search. */
function lineAt(starts: readonly number[], offset: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low + 1;
}
