import { describe, expect, it } from "vitest";
import { inspectFile, inspectPrograms, listCFunctions, listFunctions } from "./structure-rules.ts";
import { applyBaseline, type BaselineEntry, parseBaseline } from "./structure-baseline.ts";

const docstring = "/** What this is for. @module */\n";
const rulesOf = (path: string, text: string) => inspectFile(path, text).map(({ rule }) => rule);
const statements = (count: number) => "  work();\n".repeat(count);

describe("the structure check", () => {
  it("lets a good file be", () => {
    const text = `${docstring}export function work(): void {\n${statements(58)}}\n`;
    expect(inspectFile("packages/server/src/loop/run-tools.ts", text)).toEqual([]);
  });

  it("counts the lines of a file", () => {
    expect(rulesOf("packages/a/src/long.ts", docstring + "//\n".repeat(299))).toEqual([]);
    expect(rulesOf("packages/a/src/long.ts", docstring + "//\n".repeat(300))).toEqual(["file-length"]);
    expect(rulesOf("packages/a/guest/long.c", "//\n".repeat(301))).toEqual(["file-length"]);
  });

  it.for([
    ["a function", `export function work() {\n${statements(59)}}\n`],
    ["an arrow", `export const work = () => {\n${statements(59)}};\n`],
    ["a method", `export class Engine {\n  work() {\n${statements(59)}  }\n}\n`],
    ["a test", `it("works", () => {\n${statements(59)}});\n`],
  ])("counts the lines of %s", ([, text]) => {
    expect(rulesOf("packages/a/src/work.ts", docstring + (text ?? ""))).toEqual(["function-length"]);
  });

  it("names the function and the line where it begins", () => {
    const [finding] = inspectFile(
      "packages/a/src/work.ts",
      `${docstring}\nexport const work = () => {\n${statements(60)}};\n`,
    );
    expect(finding).toMatchObject({ name: "work", where: "packages/a/src/work.ts:3", lines: 62 });
  });

  it("takes the body of `describe` for a list of tests", () => {
    const text = `describe.each([1])("all", () => {\n${statements(100)}});\n`;
    expect(listFunctions("a.test.ts", text)).toEqual([]);
  });

  it("counts the lines of a C function", () => {
    const text = `static int\twork(void);\n\nint work(int a,\n         int b) {\n${statements(60)}}\n`;
    expect(listCFunctions(text)).toEqual([{ name: "work", line: 3, lines: 63 }]);
    expect(rulesOf("packages/a/guest/work.c", text)).toEqual(["function-length"]);
  });

  it("counts the lines of a small program in all its sources", () => {
    const path = "packages/sandbox-host/guest/supervisor";
    const sources = (lines: number) => [
      { path: `${path}/main.c`, text: "//\n".repeat(300) },
      { path: `${path}/commands.c`, text: "//\n".repeat(lines - 300) },
      { path: "packages/sandbox-host/guest/other/main.c", text: "//\n".repeat(290) },
    ];
    expect(inspectPrograms(sources(600))).toEqual([]);
    expect(inspectPrograms(sources(601))).toMatchObject([{ rule: "program-length", path, lines: 601 }]);
    const both = { path: "packages/sandbox-host/guest/frames/frames.c", text: "//\n".repeat(10) };
    expect(inspectPrograms([...sources(591), both])).toMatchObject([{ rule: "program-length", path, lines: 601 }]);
  });

  it.for(["utils.ts", "helpers.ts", "types.ts", "index.ts", "util.test.ts"])("refuses the name %s", (name) => {
    expect(rulesOf(`packages/a/src/${name}`, docstring)).toEqual(["empty-name"]);
  });

  it("refuses folders that say nothing, and names that are not kebab-case", () => {
    expect(rulesOf("packages/a/src/utils/work.ts", docstring)).toEqual(["empty-name"]);
    expect(rulesOf("packages/a/src/runTools.ts", docstring)).toEqual(["file-name"]);
  });

  it("wants a first sentence, except in tests", () => {
    expect(rulesOf("packages/a/src/work.ts", "export const a = 1;\n")).toEqual(["module-docstring"]);
    expect(rulesOf("packages/a/src/work.test.ts", "export const a = 1;\n")).toEqual([]);
  });
});

describe("the baseline", () => {
  const path = "packages/a/src/long.ts";
  const findings = inspectFile(path, docstring + "//\n".repeat(309));
  const entry: BaselineEntry = { rule: "file-length", path, lines: 310, reason: "A table that is read as a whole." };
  const rules = (...args: Parameters<typeof applyBaseline>) => applyBaseline(...args).map(({ rule }) => rule);

  it("excuses exactly what it names", () => {
    expect(rules(findings, [entry], null)).toEqual([]);
    expect(rules(findings, [], null)).toEqual(["file-length"]);
  });

  it("does not let an excused file grow", () => {
    expect(rules(findings, [{ ...entry, lines: 309 }], null)).toEqual(["file-length"]);
  });

  it("must shrink with what it excuses", () => {
    expect(rules([], [entry], null)).toEqual(["baseline-stale"]);
    expect(rules(findings, [{ ...entry, lines: 320 }], null)).toEqual(["baseline-stale"]);
  });

  it("may not gain an entry or a line over the last commit", () => {
    expect(rules(findings, [entry], [])).toEqual(["baseline-grown"]);
    expect(rules(findings, [entry], [{ ...entry, lines: 305 }])).toEqual(["baseline-grown"]);
    expect(rules(findings, [entry], [entry])).toEqual([]);
  });

  it("wants a reason", () => {
    expect(() => parseBaseline(JSON.stringify([{ ...entry, reason: "" }]))).toThrow(/reason/);
    expect(parseBaseline(JSON.stringify([entry]))).toEqual([entry]);
  });
});
