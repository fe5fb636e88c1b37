/** Operations on names, directories and modes. @module */
import type { CoherenceCase } from "./coherence-case.ts";

const file = (text: string) => ({ text });
export const nameCases: readonly CoherenceCase[] = [
  {
    id: "delete",
    given: { "f.md": file("x\n"), "g.md": file("y\n") },
    tools: (tools) => tools.remove("f.md"),
    bash: "rm f.md",
    expected: { "g.md": file("y\n") },
  },
  {
    id: "delete-last-in-directory",
    given: { d: null, "d/f.md": file("x\n") },
    tools: (tools) => tools.remove("d/f.md"),
    bash: "rm d/f.md",
    expected: { d: null },
  },
  {
    id: "delete-tree",
    given: { d: null, "d/e": null, "d/e/f.md": file("x\n"), "d/g.md": file("y\n") },
    tools: (tools) => tools.removeTree("d"),
    bash: "rm -r d",
    expected: {},
  },
  {
    id: "make-directory",
    given: {},
    tools: (tools) => tools.makeDirectory("d/e"),
    bash: "mkdir -p d/e",
    expected: { d: null, "d/e": null },
  },
  {
    id: "remove-directory",
    given: { d: null, "d/e": null },
    tools: (tools) => tools.removeTree("d/e"),
    bash: "rmdir d/e",
    expected: { d: null },
  },
  {
    id: "rename-file",
    given: { "f.md": file("x\n") },
    tools: (tools) => tools.rename("f.md", "g.md"),
    bash: "mv f.md g.md",
    expected: { "g.md": file("x\n") },
  },
  {
    id: "rename-file-into-directory",
    given: { "f.md": file("x\n"), d: null },
    tools: (tools) => tools.rename("f.md", "d/f.md"),
    bash: "mv f.md d/f.md",
    expected: { d: null, "d/f.md": file("x\n") },
  },
  {
    id: "rename-directory",
    given: { d: null, "d/e": null, "d/e/f.md": file("x\n"), "d/g.md": file("y\n") },
    tools: (tools) => tools.rename("d", "h"),
    bash: "mv d h",
    expected: { h: null, "h/e": null, "h/e/f.md": file("x\n"), "h/g.md": file("y\n") },
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
    expected: { "f.md": file("y\n"), "g.md": file("x\n") },
  },
  {
    id: "make-executable",
    given: { "run.sh": file("#!/bin/sh\n") },
    tools: null,
    bash: "chmod +x run.sh",
    expected: { "run.sh": { text: "#!/bin/sh\n", executable: true } },
  },
  {
    id: "edit-executable",
    given: { "run.sh": { text: "#!/bin/sh\necho a\n", executable: true } },
    tools: (tools) => tools.edit("run.sh", "echo a", "echo b"),
    bash: "sed -i 's/echo a/echo b/' run.sh",
    expected: { "run.sh": { text: "#!/bin/sh\necho b\n", executable: true } },
  },
  {
    id: "file-becomes-directory",
    given: { d: file("x\n") },
    tools: async (tools) => {
      await tools.remove("d");
      await tools.write("d/f.md", "y\n");
    },
    bash: "rm d && mkdir d && echo y > d/f.md",
    expected: { d: null, "d/f.md": file("y\n") },
  },
  {
    id: "directory-becomes-file",
    given: { d: null, "d/f.md": file("x\n") },
    tools: async (tools) => {
      await tools.removeTree("d");
      await tools.write("d", "y\n");
    },
    bash: "rm -r d && echo y > d",
    expected: { d: file("y\n") },
  },
  {
    id: "many",
    given: { "0.md": file("0\n") },
    tools: async (tools) => {
      for (let index = 1; index < 40; index += 1) await tools.write(`${index}.md`, `${index}\n`);
    },
    bash: "i=1; while [ $i -lt 40 ]; do echo $i > $i.md; i=$((i+1)); done",
    expected: Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`${index}.md`, file(`${index}\n`)])),
  },
];
