/**
 * What is done to files, once by tools and once by a command, and what must be seen then by everybody. Paths are within
 * a directory of the case's own, which is empty at first.
 * @module
 */
import type { DirectoryOperations, FileActor, FileStore } from "../store.ts";
import { encodeText } from "../text.ts";

/** A file's text, and whether it can be executed; null: a directory. */
export type ExpectedTree = Readonly<Record<string, { readonly text: string; readonly executable?: true } | null>>;

/** A session's tools within the case's directory. */
export interface CaseTools {
  /** The whole file, as the write tool does: what is there has been read. */
  write(name: string, text: string): Promise<void>;
  edit(name: string, oldText: string, newText: string): Promise<void>;
  remove(name: string): Promise<void>;
  makeDirectory(name: string): Promise<void>;
  removeTree(name: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

export interface CoherenceCase {
  readonly id: string;
  /** What is there before, written by another session. */
  readonly given: ExpectedTree;
  /** Null: tools have no way to do it. */
  readonly tools: ((tools: CaseTools) => Promise<void>) | null;
  /** Run in the case's directory. */
  readonly bash: string;
  readonly then: ExpectedTree;
}

const file = (text: string) => ({ text });
const big = `${"a line of sixty-three characters, which with its end makes 64..\n".repeat(16_383)}and the last one\n`;

export const coherenceCases: readonly CoherenceCase[] = [
  {
    id: "create",
    given: {},
    tools: (tools) => tools.write("new.md", "new\n"),
    bash: "echo new > new.md",
    then: { "new.md": file("new\n") },
  },
  {
    id: "create-in-new-directories",
    given: {},
    tools: (tools) => tools.write("a/b/c.md", "deep\n"),
    bash: "mkdir -p a/b && echo deep > a/b/c.md",
    then: { a: null, "a/b": null, "a/b/c.md": file("deep\n") },
  },
  {
    id: "create-empty",
    given: {},
    tools: (tools) => tools.write("empty.md", ""),
    bash: ": > empty.md",
    then: { "empty.md": file("") },
  },
  {
    id: "overwrite",
    given: { "f.md": file("old\n") },
    tools: (tools) => tools.write("f.md", "other\n"),
    bash: "echo other > f.md",
    then: { "f.md": file("other\n") },
  },
  {
    id: "overwrite-same-size",
    given: { "f.md": file("aaaa\n") },
    tools: (tools) => tools.write("f.md", "bbbb\n"),
    bash: "printf 'bbbb\\n' > f.md",
    then: { "f.md": file("bbbb\n") },
  },
  {
    id: "overwrite-with-old-times",
    given: { "f.md": file("aaaa\n") },
    tools: null,
    bash: "touch -r f.md ../stamp-$$ && printf 'bbbb\\n' > f.md && touch -r ../stamp-$$ f.md && rm ../stamp-$$",
    then: { "f.md": file("bbbb\n") },
  },
  {
    id: "replace-by-rename",
    given: { "f.md": file("old\n") },
    tools: null,
    bash: "echo whole > .f.tmp && mv .f.tmp f.md",
    then: { "f.md": file("whole\n") },
  },
  {
    id: "append",
    given: { "log.md": file("one\n") },
    tools: (tools) => tools.edit("log.md", "one\n", "one\ntwo\n"),
    bash: "echo two >> log.md",
    then: { "log.md": file("one\ntwo\n") },
  },
  {
    id: "edit",
    given: { "f.md": file("a\nb\nc\n") },
    tools: (tools) => tools.edit("f.md", "b", "B"),
    bash: "sed -i s/b/B/ f.md",
    then: { "f.md": file("a\nB\nc\n") },
  },
  {
    id: "edit-without-last-line-end",
    given: { "f.md": file("a\nb") },
    tools: (tools) => tools.edit("f.md", "a", "A"),
    bash: "printf 'A\\nb' > f.md",
    then: { "f.md": file("A\nb") },
  },
  {
    id: "edit-crlf",
    given: { "f.txt": file("a\r\nb\r\nc\r\n") },
    tools: (tools) => tools.edit("f.txt", "b", "B"),
    bash: "sed -i s/b/B/ f.txt",
    then: { "f.txt": file("a\r\nB\r\nc\r\n") },
  },
  {
    id: "truncate",
    given: { "f.md": file("text\n") },
    tools: (tools) => tools.write("f.md", ""),
    bash: ": > f.md",
    then: { "f.md": file("") },
  },
  {
    id: "big-text",
    given: { "f.md": file("small\n") },
    tools: (tools) => tools.write("f.md", big),
    bash: `i=0; while [ $i -lt 16383 ]; do echo 'a line of sixty-three characters, which with its end makes 64..'; i=$((i+1)); done > f.md; echo 'and the last one' >> f.md`,
    then: { "f.md": file(big) },
  },
  {
    id: "unicode-names",
    given: {},
    tools: (tools) => tools.write("žluťoučký kůň/🐎 日本.md", "ahoj\n"),
    bash: "mkdir 'žluťoučký kůň' && echo ahoj > 'žluťoučký kůň/🐎 日本.md'",
    then: { "žluťoučký kůň": null, "žluťoučký kůň/🐎 日本.md": file("ahoj\n") },
  },
  {
    id: "awkward-names",
    given: {},
    tools: (tools) => tools.write("-rf 'a\" $(x) \\ *.md", "odd\n"),
    bash: `echo odd > "./-rf 'a\\" \\$(x) \\\\ *.md"`,
    then: { "-rf 'a\" $(x) \\ *.md": file("odd\n") },
  },
  {
    id: "delete",
    given: { "f.md": file("x\n"), "g.md": file("y\n") },
    tools: (tools) => tools.remove("f.md"),
    bash: "rm f.md",
    then: { "g.md": file("y\n") },
  },
  {
    id: "delete-last-in-directory",
    given: { d: null, "d/f.md": file("x\n") },
    tools: (tools) => tools.remove("d/f.md"),
    bash: "rm d/f.md",
    then: { d: null },
  },
  {
    id: "delete-tree",
    given: { d: null, "d/e": null, "d/e/f.md": file("x\n"), "d/g.md": file("y\n") },
    tools: (tools) => tools.removeTree("d"),
    bash: "rm -r d",
    then: {},
  },
  {
    id: "make-directory",
    given: {},
    tools: (tools) => tools.makeDirectory("d/e"),
    bash: "mkdir -p d/e",
    then: { d: null, "d/e": null },
  },
  {
    id: "remove-directory",
    given: { d: null, "d/e": null },
    tools: (tools) => tools.removeTree("d/e"),
    bash: "rmdir d/e",
    then: { d: null },
  },
  {
    id: "rename-file",
    given: { "f.md": file("x\n") },
    tools: (tools) => tools.rename("f.md", "g.md"),
    bash: "mv f.md g.md",
    then: { "g.md": file("x\n") },
  },
  {
    id: "rename-file-into-directory",
    given: { "f.md": file("x\n"), d: null },
    tools: (tools) => tools.rename("f.md", "d/f.md"),
    bash: "mv f.md d/f.md",
    then: { d: null, "d/f.md": file("x\n") },
  },
  {
    id: "rename-directory",
    given: { d: null, "d/e": null, "d/e/f.md": file("x\n"), "d/g.md": file("y\n") },
    tools: (tools) => tools.rename("d", "h"),
    bash: "mv d h",
    then: { h: null, "h/e": null, "h/e/f.md": file("x\n"), "h/g.md": file("y\n") },
  },
  {
    id: "swap-names",
    given: { "f.md": file("x\n"), "g.md": file("y\n") },
    tools: async (tools) => {
      await tools.rename("f.md", "t.md");
      await tools.rename("g.md", "f.md");
      await tools.rename("t.md", "g.md");
    },
    bash: "mv f.md t.md; mv g.md f.md; mv t.md g.md",
    then: { "f.md": file("y\n"), "g.md": file("x\n") },
  },
  {
    id: "make-executable",
    given: { "run.sh": file("#!/bin/sh\n") },
    tools: null,
    bash: "chmod +x run.sh",
    then: { "run.sh": { text: "#!/bin/sh\n", executable: true } },
  },
  {
    id: "edit-executable",
    given: { "run.sh": { text: "#!/bin/sh\necho a\n", executable: true } },
    tools: (tools) => tools.edit("run.sh", "echo a", "echo b"),
    bash: "sed -i 's/echo a/echo b/' run.sh",
    then: { "run.sh": { text: "#!/bin/sh\necho b\n", executable: true } },
  },
  {
    id: "file-becomes-directory",
    given: { d: file("x\n") },
    tools: async (tools) => {
      await tools.remove("d");
      await tools.write("d/f.md", "y\n");
    },
    bash: "rm d && mkdir d && echo y > d/f.md",
    then: { d: null, "d/f.md": file("y\n") },
  },
  {
    id: "directory-becomes-file",
    given: { d: null, "d/f.md": file("x\n") },
    tools: async (tools) => {
      await tools.removeTree("d");
      await tools.write("d", "y\n");
    },
    bash: "rm -r d && echo y > d",
    then: { d: file("y\n") },
  },
  {
    id: "many",
    given: { "0.md": file("0\n") },
    tools: async (tools) => {
      for (let index = 1; index < 40; index += 1) await tools.write(`${index}.md`, `${index}\n`);
    },
    bash: "i=1; while [ $i -lt 40 ]; do echo $i > $i.md; i=$((i+1)); done",
    then: Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`${index}.md`, file(`${index}\n`)])),
  },
];

/** @param directory The case's own, as the session sees it. */
export function caseTools(
  store: FileStore & DirectoryOperations,
  directory: string,
  actor: () => FileActor,
): CaseTools {
  const at = (name: string) => `${directory}/${name}`;
  return {
    async write(name, text) {
      // Whoever overwrites has read.
      if ((await store.stat(at(name))) !== null) await store.read(at(name));
      await store.write(at(name), encodeText(text), actor());
    },
    async edit(name, oldText, newText) {
      await store.edit(at(name), { oldText, newText, all: false }, actor());
    },
    remove: (name) => store.remove(at(name), actor()),
    makeDirectory: (name) => store.makeDirectory(at(name), actor()),
    async removeTree(name) {
      await store.removeTree(at(name), actor());
    },
    rename: (from, to) => store.rename(at(from), at(to), actor()),
  };
}
