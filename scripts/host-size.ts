/**
 * The host-size check: how much code the privileged process executes. Counted is every module that the host daemon's
 * main.ts imports, directly or not, for more than its types: lines of code as they run, without comments, blank lines
 * and erased types.
 *
 *   node scripts/host-size.ts
 * @module
 */
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { parseSync } from "oxc-parser";
import { type Finding, report } from "./finding.ts";

const mostLines = 2_000;
const daemon = "packages/sandbox-host/src/main.ts";
const sandboxPackage = "@exoloop/sandbox/";

/** The file that an import means. Null: Node's own. @throws Error for a library. */
function resolveImport(root: string, from: string, specifier: string): string | null {
  if (specifier.startsWith("node:")) return null;
  if (specifier.startsWith(".")) return resolve(dirname(from), specifier);
  if (specifier.startsWith(sandboxPackage))
    return join(root, "packages/sandbox/src", `${specifier.slice(sandboxPackage.length)}.ts`);
  throw new Error(`${from} imports ${specifier}, whose lines cannot be counted`);
}

/** What a module loads when it runs. Imports of types alone are gone by then. */
function importsOf(path: string, source: string): string[] {
  const { module } = parseSync(path, source);
  const loaded = module.staticImports.filter(
    ({ entries }) => entries.length === 0 || entries.some((entry) => !entry.isType),
  );
  const passedOn = module.staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ isType, moduleRequest }) => (isType || !moduleRequest ? [] : [moduleRequest.value])),
  );
  const later = module.dynamicImports.map(({ moduleRequest }) =>
    source.slice(moduleRequest.start + 1, moduleRequest.end - 1),
  );
  return [...loaded.map(({ moduleRequest }) => moduleRequest.value), ...passedOn, ...later];
}

/** @example countLines("/** What it is. *\/\nconst a: number = 1;\n") // 1 */
export function countLines(source: string): number {
  const comments = parseSync("counted.ts", source).comments.toReversed();
  let code = source;
  for (const { start, end } of comments)
    code = code.slice(0, start) + code.slice(start, end).replace(/[^\n]/g, " ") + code.slice(end);
  return stripTypeScriptTypes(code)
    .split("\n")
    .filter((line) => line.trim() !== "" && line.trim() !== ";").length;
}

/** Lines by file, of `entry` and all that it loads. */
export function measureModule(root: string, entry: string): Map<string, number> {
  const lines = new Map<string, number>();
  const waiting = [join(root, entry)];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (lines.has(path)) continue;
    const source = readFileSync(path, "utf8");
    lines.set(path, countLines(source));
    for (const specifier of importsOf(path, source)) {
      const imported = resolveImport(root, path, specifier);
      if (imported !== null) waiting.push(imported);
    }
  }
  return lines;
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  const lines = [...measureModule(root, daemon)].map(([path, count]) => ({ path: relative(root, path), count }));
  const sum = lines.reduce((total, { count }) => total + count, 0);
  const largest = lines
    .toSorted((left, right) => right.count - left.count)
    .map(({ path, count }) => `${path} ${count}`);
  const finding: Finding = {
    rule: "host-size",
    where: daemon,
    what: `loads ${sum} lines of code: ${largest.join(", ")}`,
    why: `The host daemon is the only privileged code: fewer than ${mostLines} lines can be audited.`,
    fix: "Move what needs no privilege into another process or to the set-up.",
  };
  report(sum >= mostLines ? [finding] : [], `${sum} lines in ${lines.length} modules`);
}
