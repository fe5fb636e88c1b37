/** Operations on what is in files. @module */
import type { CoherenceCase } from "./coherence-case.ts";

const file = (text: string) => ({ text });
const big = `${"a line of sixty-three characters, which with its end makes 64..\n".repeat(16_383)}and the last one\n`;

export const contentCases: readonly CoherenceCase[] = [
  {
    id: "create",
    given: {},
    tools: (tools) => tools.write("new.md", "new\n"),
    bash: "echo new > new.md",
    expected: { "new.md": file("new\n") },
  },
  {
    id: "create-in-new-directories",
    given: {},
    tools: (tools) => tools.write("a/b/c.md", "deep\n"),
    bash: "mkdir -p a/b && echo deep > a/b/c.md",
    expected: { a: null, "a/b": null, "a/b/c.md": file("deep\n") },
  },
  {
    id: "create-empty",
    given: {},
    tools: (tools) => tools.write("empty.md", ""),
    bash: ": > empty.md",
    expected: { "empty.md": file("") },
  },
  {
    id: "overwrite",
    given: { "f.md": file("old\n") },
    tools: (tools) => tools.write("f.md", "other\n"),
    bash: "echo other > f.md",
    expected: { "f.md": file("other\n") },
  },
  {
    id: "overwrite-same-size",
    given: { "f.md": file("aaaa\n") },
    tools: (tools) => tools.write("f.md", "bbbb\n"),
    bash: "printf 'bbbb\\n' > f.md",
    expected: { "f.md": file("bbbb\n") },
  },
  {
    id: "overwrite-with-old-times",
    given: { "f.md": file("aaaa\n") },
    tools: null,
    bash: "touch -r f.md ../stamp-$$ && printf 'bbbb\\n' > f.md && touch -r ../stamp-$$ f.md && rm ../stamp-$$",
    expected: { "f.md": file("bbbb\n") },
  },
  {
    id: "replace-by-rename",
    given: { "f.md": file("old\n") },
    tools: null,
    bash: "echo whole > .f.tmp && mv .f.tmp f.md",
    expected: { "f.md": file("whole\n") },
  },
  {
    id: "append",
    given: { "log.md": file("one\n") },
    tools: (tools) => tools.edit("log.md", "one\n", "one\ntwo\n"),
    bash: "echo two >> log.md",
    expected: { "log.md": file("one\ntwo\n") },
  },
  {
    id: "edit",
    given: { "f.md": file("a\nb\nc\n") },
    tools: (tools) => tools.edit("f.md", "b", "B"),
    bash: "sed -i s/b/B/ f.md",
    expected: { "f.md": file("a\nB\nc\n") },
  },
  {
    id: "edit-without-last-line-end",
    given: { "f.md": file("a\nb") },
    tools: (tools) => tools.edit("f.md", "a", "A"),
    bash: "printf 'A\\nb' > f.md",
    expected: { "f.md": file("A\nb") },
  },
  {
    id: "edit-crlf",
    given: { "f.txt": file("a\r\nb\r\nc\r\n") },
    tools: (tools) => tools.edit("f.txt", "b", "B"),
    bash: "sed -i s/b/B/ f.txt",
    expected: { "f.txt": file("a\r\nB\r\nc\r\n") },
  },
  {
    id: "truncate",
    given: { "f.md": file("text\n") },
    tools: (tools) => tools.write("f.md", ""),
    bash: ": > f.md",
    expected: { "f.md": file("") },
  },
  {
    id: "big-text",
    given: { "f.md": file("small\n") },
    tools: (tools) => tools.write("f.md", big),
    bash: `i=0; while [ $i -lt 16383 ]; do echo 'a line of sixty-three characters, which with its end makes 64..'; i=$((i+1)); done > f.md; echo 'and the last one' >> f.md`,
    expected: { "f.md": file(big) },
  },
  {
    id: "unicode-names",
    given: {},
    tools: (tools) => tools.write("žluťoučký kůň/🐎 日本.md", "ahoj\n"),
    bash: "mkdir 'žluťoučký kůň' && echo ahoj > 'žluťoučký kůň/🐎 日本.md'",
    expected: { "žluťoučký kůň": null, "žluťoučký kůň/🐎 日本.md": file("ahoj\n") },
  },
  {
    id: "awkward-names",
    given: {},
    tools: (tools) => tools.write("-rf 'a\" $(x) \\ *.md", "odd\n"),
    bash: `echo odd > "./-rf 'a\\" \\$(x) \\\\ *.md"`,
    expected: { "-rf 'a\" $(x) \\ *.md": file("odd\n") },
  },
];
