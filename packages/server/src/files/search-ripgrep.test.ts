/** The same patterns on the same files as ripgrep: which lines match. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rgPath } from "@vscode/ripgrep";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileFileType, fileTypes } from "./file-types.ts";
import { compileGlob } from "./glob-pattern.ts";
import { startSearch } from "./search-request.ts";
import { createPatterns } from "./search-testing.ts";
import { FileError, type GrepRequest } from "./store.ts";

const texts: Readonly<Record<string, string>> = {
  "plain.txt":
    "cat\nconcat\nthe cat sat\n42 cats\n\nCAT Cat cAt\n  indented\ttab\nabc abd aab bbb ccc\na.b a\\b a(b) [x] {y} $5 ^\n",
  "crlf.txt": "cat\r\nconcat\r\n\r\nthe end\r\na b\r\nlast",
  "unicode.txt":
    "été\nÉTÉ éte\nstraße STRASSE ẞ\nπ Π ςσ Σ\n日本語 テスト\n😀 smile 😀😀\nnaïve café\n١٢٣ 42\nа́б_в\nǅ ǆ Ǆ\nnull\u0007 bell\u00a0nbsp\u2003em\n",
  "no-end.txt": "first\nlast cat",
  "empty.txt": "",
  "feeds.txt": "\n\n\n",
  "long.txt": `${"ab ".repeat(3_000)}cat${" ba".repeat(3_000)}\nshort\n`,
  "code.ts":
    'import { a } from "./b.ts";\n\nexport function find(name: string): number {\n  return name.length > 3 ? 1 : 0;\n}\n// TODO: x\nconst x = () => {};\n',
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "exoloop-ripgrep-"));
  for (const kind of ["given", "unix"]) mkdirSync(join(directory, kind));
  for (const [name, text] of Object.entries(texts)) {
    writeFileSync(join(directory, "given", name), text);
    // What belongs to a line end here is a character to ripgrep.
    writeFileSync(join(directory, "unix", name), text.replaceAll("\r\n", "\n"));
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Null: ripgrep refuses the pattern. */
function ripgrep(pattern: string, options: readonly string[] = []): string[] | null {
  const fixed = ["--no-config", "--line-number", "--with-filename", "--no-heading", "--text", "--sort=path"];
  const found = spawnSync(rgPath, [...fixed, ...options, "--regexp", pattern, "."], {
    cwd: join(directory, /\\r/.test(pattern) ? "given" : "unix"),
    encoding: "utf8",
  });
  if (found.status === 2) return null;
  return found.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => /^\.\/([^:]+:\d+)/.exec(line)?.[1] ?? line);
}

async function ours(pattern: string, options: Partial<GrepRequest> = {}): Promise<string[]> {
  const search = startSearch({ pattern, path: "/", ignoreCase: false, maximumMatches: 10_000, ...options });
  for (const name of Object.keys(texts).sort()) await search.add(name, texts[name] ?? "");
  return search.result().lines.map((line) => `${line.path}:${line.line}`);
}

describe("lines of ripgrep", () => {
  it.each([
    "cat",
    "\\bcat\\b",
    "^cat",
    "cat$",
    "^$",
    "^",
    "$",
    "",
    "(?i)cat",
    "c.t",
    "\\w+",
    "\\W",
    "^\\w+$",
    "\\d{2}",
    "\\D$",
    "[[:alpha:]]{5}",
    "[^a-z\\s]",
    "\\s$",
    "\\p{L}{4}",
    "\\p{Greek}",
    "\\P{ASCII}",
    "\\p{Lu}",
    "(?i)é",
    "(?i)straße",
    "(?i)σ",
    "(?i)ǆ",
    "\\bété\\b",
    "\\Bat",
    "(?-u:\\w+t\\b)",
    "(?-u)\\bt",
    ".{3}",
    "^.$",
    "日.語",
    "😀{2}",
    "[😀-😂]",
    "\\x{1F600}",
    "\\u00e9",
    "a\\.b",
    "a\\(b\\)",
    "\\{y\\}",
    "\\$5",
    "(a|b)c",
    "(ab|ba){3}",
    "(?:a|ab)(?:c|bcd)?$",
    "(?x) c a  t",
    "(?s).",
    "[a&&b]",
    "[a-z&&[^c]]at",
    "[\\w--[a-y]]",
    "[[a-c][x-z]]",
    "[]x]",
    "[^]]",
    "[a\\-z]-?",
    "\\bname\\b.*\\d",
    "(a+)+$",
    "(?U)a+",
    "x*",
    "^\\s*//",
    "\\b{start}c",
    "\\<cat",
    "cat\\>",
    "(?i:CA)t",
    "(?P<n>c)at",
    "TODO|FIXME",
    "\\t",
    "\\r",
    "\\a",
    "[\\r\\t]",
    "end$",
    "(?m)^the",
    "(?-m)^cat",
  ])("%j", async (pattern) => {
    expect(await ours(pattern)).toEqual(ripgrep(pattern));
  });

  it("for patterns at random, also ignoring case", async () => {
    const patterns = createPatterns(20_26);
    let matched = 0;
    for (let round = 0; round < Number(process.env["RIPGREP_ROUNDS"] ?? 150); round += 1) {
      const pattern = patterns();
      const ignoreCase = round % 3 === 0;
      const expected = ripgrep(pattern, ignoreCase ? ["--ignore-case"] : []);
      if (expected === null) continue;
      expect(await ours(pattern, { ignoreCase }), pattern).toEqual(expected);
      if (expected.length > 0) matched += 1;
    }
    expect(matched).toBeGreaterThan(30);
    // Each starts a program.
  }, 60_000);

  it.each([
    "cat\\nconcat",
    "(?s)cat.*sat",
    "a[^b]*\\n\\s*b",
    "\\n\\n",
    "return[^}]+\\}",
    "^the",
    "t$\\n^4",
    "last.*?\\n",
    "cat\\s+the",
  ])("over several lines: %j", async (pattern) => {
    const multiline = ripgrep(pattern, ["--multiline", "--multiline-dotall"]);
    expect(await ours(pattern, { multiline: true })).toEqual(multiline);
  });
});

describe("names of ripgrep", () => {
  it("types hold what they hold there", () => {
    const list = spawnSync(rgPath, ["--no-config", "--type-list"], { encoding: "utf8" }).stdout;
    const globs = new Map(
      list.split("\n").map((line) => [line.split(": ")[0] ?? "", line.split(": ")[1]?.split(", ") ?? []]),
    );
    for (const type of fileTypes) {
      const matches = compileFileType(type);
      const names = (globs.get(type) ?? [])
        .filter((glob) => !/[[\]]/.test(glob))
        .map((glob) => glob.replaceAll("*", "x"));
      expect(
        names.filter((name) => !matches(`deep/${name}`)),
        type,
      ).toEqual([]);
    }
  });

  it("refuses what ripgrep refuses", () => {
    for (const pattern of [
      "(",
      ")",
      "[a",
      "a(?=b)",
      "(?<!a)b",
      "(a)\\1",
      "*a",
      "a{2,1}",
      "\\p{Nope}",
      "\\y",
      "[b-a]",
      "(?z)a",
    ]) {
      expect(() => startSearch({ pattern, path: "/", ignoreCase: false, maximumMatches: 1 }), pattern).toThrow(
        FileError,
      );
      expect(ripgrep(pattern), pattern).toBeNull();
    }
    expect(compileGlob("*")("a")).toBe(true);
  });
});
