import { describe, expect, it } from "vitest";
import { encodeText } from "../../files/text.ts";
import { describeProblem, describeProblems } from "./problem.ts";
import { mostSkillFiles, readSkill, type SkillFile } from "./skill-files.ts";

const manifest = { path: "SKILL.md", bytes: encodeText("---\nname: review\ndescription: x\n---\nRead.\n") };
const file = (path: string, bytes = encodeText("x")): SkillFile => ({ path, bytes });

describe("the files of a skill", () => {
  it("are a skill with SKILL.md among them", () => {
    const reading = readSkill([manifest, file("scripts/run.sh"), file("references/ä.md")], "review");
    expect(reading).toMatchObject({ manifest: { name: "review" }, problems: [], notices: [] });
  });

  it.each([
    ["no SKILL.md", [file("README.md")], "SKILL.md: is missing at the top of the skill."],
    ["another spelling of it", [{ ...manifest, path: "skill.md" }], 'SKILL.md: is written "skill.md": rename it.'],
    ["a SKILL.md that is not text", [file("SKILL.md", new Uint8Array([0xff, 0]))], "SKILL.md: is not text in UTF-8."],
    ["a way out", [manifest, file("../x")], '"../x": holds an empty, `.` or `..` segment.'],
    ["an absolute path", [manifest, file("/etc/x")], '"/etc/x": is not a path relative to the skill.'],
    ["a backslash", [manifest, file("a\\b")], '"a\\\\b": holds a backslash: separate directories with slashes.'],
    ["NUL", [manifest, file("a\0b")], '"a\\u0000b": is not valid text.'],
    [
      "a hidden turn of direction",
      [manifest, file("a\u202eb")],
      '"a\u202eb": holds an invisible or control character.',
    ],
    ["twins", [manifest, file("A.md"), file("a.md")], '"a.md": differs only in case from "A.md".'],
    ["a file twice", [manifest, file("a.md"), file("a.md")], '"a.md": stands there twice.'],
    ["a file that is a directory", [manifest, file("a"), file("a/b")], '"a/b": lies below "a", which is a file.'],
    [
      "a text that is too large",
      [manifest, file("a", new Uint8Array(1_048_577).fill(65))],
      "a: has 1048577 bytes; at most 1048576 are taken for such a file.",
    ],
    [
      "too much",
      [manifest, ...Array.from({ length: 4 }, (_, at) => file(`${at}`, new Uint8Array(10_000_000)))],
      "The skill: has 40000042 bytes in all; at most 31457280 are taken.",
    ],
    [
      "too many",
      [manifest, ...Array.from({ length: mostSkillFiles }, (_, at) => file(`${at}`))],
      "The skill: has 1001 files; at most 1000 are taken.",
    ],
  ])("are refused with %s", (_title, files, told) => {
    const { manifest: read, problems } = readSkill(files, "review");
    expect(read).toBeNull();
    expect(problems.map(describeProblem)).toContain(told);
  });

  it("tell the first problem and count the others", () => {
    const bad = file("SKILL.md", encodeText("---\nname: Review\ndescription: <b>\n---\n"));
    expect(describeProblems(readSkill([bad, file("../x")], "review").problems)).toMatch(
      /^SKILL\.md, line 2: name "Review" holds .* \(2 more problems in this skill\.\)$/,
    );
  });
});
