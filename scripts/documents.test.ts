/** What the documents name exists: links, and tests by the end of their path. @module */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const documents = ["*.md", "docs/**/*.md"].flatMap((pattern) => globSync(pattern, { cwd: root }));
const tests = ["packages/*/src/**/*.test.ts", "scripts/**/*.test.ts", "bench/**/*.test.ts"].flatMap((pattern) =>
  globSync(pattern, { cwd: root }),
);

/** @example isNamed("http/refused-*.test.ts", "packages/server/src/http/refused-bodies.test.ts") // true */
function isNamed(name: string, path: string): boolean {
  const pattern = name.replace(/[.]/g, "\\.").replaceAll("*", "[^/]*");
  return new RegExp(`(^|/)${pattern}$`).test(path);
}

it.each(documents)("%s names tests that exist", (document) => {
  const text = readFileSync(join(root, document), "utf8");
  const names = [...text.matchAll(/`([\w*./-]+\.test\.ts)`/g)].map(([, name = ""]) => name);
  const kinds = /^\.|^x\./;
  expect(names.filter((name) => !kinds.test(name) && !tests.some((path) => isNamed(name, path)))).toEqual([]);
});

it.each(documents)("%s leads to files that exist", (document) => {
  const text = readFileSync(join(root, document), "utf8");
  const targets = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) => target);
  const own = targets.filter((target) => !/^[a-z]+:/.test(target));
  expect(own.filter((target) => !existsSync(join(root, dirname(document), target)))).toEqual([]);
});
