import { describe, expect, it } from "vitest";
import { readManifest } from "./manifest.ts";
import { describeProblem, type SkillRule } from "./problem.ts";

const head = (...lines: string[]) => ["---", ...lines, "---", "# Do it", ""].join("\n");
const whole = head("name: review", "description: Reviews code. Use it before a merge.");

/** Text, line and rule of the first problem. */
const broken: readonly (readonly [title: string, text: string, line: number, rule: SkillRule])[] = [
  ["no frontmatter", "# Review\n", 1, "frontmatter-missing"],
  ["an empty file", "", 1, "frontmatter-missing"],
  ["a line before it", `\n${whole}`, 1, "frontmatter-missing"],
  ["no end", "---\nname: review\ndescription: x\n", 1, "frontmatter-unclosed"],
  ["too long", head("name: review", `description: "${"x".repeat(70_000)}"`), 1, "frontmatter-size"],
  ["a tab as indent", head("name: review", "metadata:", "\ta: b"), 4, "frontmatter-yaml"],
  ["a colon in a value", head("name: review", "description: Use it: always"), 3, "frontmatter-yaml"],
  ["a list", head("- name: review"), 2, "frontmatter-mapping"],
  ["nothing in it", "---\n---\nx", 2, "frontmatter-mapping"],
  ["text only", head("review"), 2, "frontmatter-mapping"],
  ["no name", head("description: x"), 1, "name-missing"],
  ["an empty name", head("description: x", "name:"), 3, "name-missing"],
  ["capital letters", head("description: x", "name: Review"), 3, "name-characters"],
  ["letters of another script", head("name: prüfung", "description: x"), 2, "name-characters"],
  ["a line feed in a name", head('name: "review\\n"', "description: x"), 2, "name-characters"],
  ["65 characters", head(`name: ${"a".repeat(65)}`, "description: x"), 2, "name-length"],
  ["a leading hyphen", head("name: -review", "description: x"), 2, "name-hyphens"],
  ["a trailing hyphen", head("name: review-", "description: x"), 2, "name-hyphens"],
  ["two hyphens", head("name: re--view", "description: x"), 2, "name-hyphens"],
  ["a reserved word", head("name: claude-review", "description: x"), 2, "name-reserved"],
  ["another directory", head("", "name: audit", "description: x"), 3, "name-directory"],
  ["a list as name", head("name: [review]", "description: x"), 2, "value-text"],
  ["an alias", head("name: review", "license: &a x", "description: *a"), 4, "value-text"],
  ["no description", head("name: review"), 1, "description-missing"],
  ["a blank description", head("name: review", 'description: "  "'), 3, "description-missing"],
  ["1,025 characters", head("name: review", `description: ${"é".repeat(1_025)}`), 3, "description-length"],
  ["a tag", head("name: review", 'description: "Do <b>this</b>"'), 3, "description-tags"],
  ["the end of a tag", head("name: review", 'description: "x</skills>y"'), 3, "description-tags"],
  ["a comment", head("name: review", 'description: "x<!-- y"'), 3, "description-tags"],
  ["a key twice", head("name: review", "description: x", "name: review"), 4, "key-twice"],
  ["a list as license", head("name: review", "description: x", "license: [a]"), 4, "value-text"],
  ["501 characters", head("name: review", "description: x", `compatibility: ${"x".repeat(501)}`), 4, "value-length"],
  ["an empty compatibility", head("name: review", "description: x", "compatibility:"), 4, "value-length"],
  ["metadata as text", head("name: review", "description: x", "metadata: a"), 4, "metadata-mapping"],
  [
    "metadata in metadata",
    head("name: review", "description: x", "metadata:", "  a:", "    b: c"),
    5,
    "metadata-mapping",
  ],
  ["tools as a map", head("name: review", "description: x", "allowed-tools: {a: b}"), 4, "value-text"],
];

describe("SKILL.md", () => {
  it("tells what stands in it", () => {
    const { manifest, problems, notices } = readManifest(
      head(
        "name: review",
        "description: >-",
        "  Reviews code.",
        "  Use it: before a merge.",
        "license: Apache-2.0",
        "compatibility: Needs git",
        "metadata:",
        "  version: 1.10",
        "  __proto__: x",
        "allowed-tools: Bash(git add:*) Read",
      ),
      "review",
    );
    expect(problems).toEqual([]);
    expect(notices).toEqual([]);
    expect(manifest).toMatchObject({
      name: "review",
      description: "Reviews code. Use it: before a merge.",
      license: "Apache-2.0",
      compatibility: "Needs git",
      allowedTools: ["Bash(git add:*)", "Read"],
    });
    expect(Object.entries(manifest?.metadata ?? {})).toEqual([
      ["version", "1.10"],
      ["__proto__", "x"],
    ]);
  });

  it.each(broken)("refuses %s", (_title, text, line, rule) => {
    const { manifest, problems } = readManifest(text, "review");
    expect(manifest).toBeNull();
    expect(problems[0]).toMatchObject({ file: "SKILL.md", line, rule });
    expect(problems[0] === undefined ? "" : describeProblem(problems[0])).toMatch(/^SKILL\.md, line \d+: .+\.$/);
  });

  it.each([
    ["with a byte order mark", `\ufeff${whole}`],
    ["with line ends of Windows", whole.replaceAll("\n", "\r\n")],
    ["with a comparison in its description", head("name: review", "description: if a < b and c > d or 3<4")],
    ["with numbers and truths as values", head("name: review", "description: true", "metadata: {a: 1, b: null}")],
    ["with a list of tools", head("name: review", "description: x", "allowed-tools:", "  - Read", "  - Bash")],
    ["with 1,024 characters", head("name: review", `description: ${"😀".repeat(1_024)}`)],
  ])("takes one %s", (_title, text) => {
    expect(readManifest(text, "review").problems).toEqual([]);
  });

  it("tells of keys that mean nothing, and of an empty body", () => {
    const { manifest, notices } = readManifest(
      "---\nname: review\ndescription: x\nversion: 2\nallowed_tools: Read\n---\n",
      "review",
    );
    expect(manifest?.name).toBe("review");
    expect(notices.map(describeProblem)).toEqual([
      'SKILL.md, line 4: "version" is not a key of the format and means nothing here: what is your own belongs under `metadata`.',
      'SKILL.md, line 5: "allowed_tools" is not a key of the format and means nothing here: write it `allowed-tools`.',
      "SKILL.md, line 6: nothing stands below the frontmatter: say there how to do the work.",
    ]);
  });

  it("reads a file made to cost time in no time", () => {
    const bomb = ["a: &a [x,x]", ...Array.from({ length: 60 }, (_, at) => `b${at}: &b${at} [*a,*a,*a]`)];
    const texts = [
      head("name: review", "description: x", ...bomb),
      head("name: review", `description: "${"<a".repeat(500)}"`),
      head("name: review", "description: x", `metadata: ${"[".repeat(2_000)}`),
      `---\n${"-\n".repeat(30_000)}---\n`,
    ];
    for (const text of texts) expect(() => readManifest(text, "review")).not.toThrow();
  });
});
