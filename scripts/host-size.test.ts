import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { expect, it } from "vitest";
import { countLines, measureModule } from "./host-size.ts";

it("counts code as it runs: no comments, blank lines and types", () => {
  const source = `/** What. */\n\ninterface A {\n  b: number;\n}\nconst a: A = { b: 1 }; // x\n/* y\n */\nexport const text = "// no comment";\n`;
  expect(countLines(source)).toBe(2);
});

it("follows what is loaded, also later and passed on, and not what is only a type", () => {
  const root = mkdtempSync(join(tmpdir(), "exoloop-size-"));
  const files = {
    "main.ts": `import { b } from "./b.ts";\nimport type { C } from "./c.ts";\nimport { word } from "@exoloop/sandbox/words";\nconst late = import("./d.ts");\nexport const a: C = b + word;\n`,
    "b.ts": `export * from "./e.ts";\nexport const b = 1;\n`,
    "c.ts": "export type C = number;\nexport const c = 1;\n",
    "d.ts": "export const d = 1;\n",
    "e.ts": "export const e = 1;\n",
    "packages/sandbox/src/words.ts": "export const word = 1;\n",
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const measured = [...measureModule(root, "main.ts").keys()].map((path) => relative(root, path)).toSorted();
  expect(measured).toEqual(["b.ts", "d.ts", "e.ts", "main.ts", "packages/sandbox/src/words.ts"]);
  writeFileSync(join(root, "b.ts"), `import { z } from "zod";\n`);
  expect(() => measureModule(root, "main.ts")).toThrow("imports zod");
  rmSync(root, { recursive: true });
});
