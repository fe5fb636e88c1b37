import type { Sandbox } from "@exoloop/sandbox/contract";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSandboxStore } from "./sandbox-store.ts";
import { FileError, type FileActor, type FileStore } from "./store.ts";
import { createTestSandbox, startTestHost, type TestHost, workspaceOf } from "./testing.ts";
import { decodeText, encodeText } from "./text.ts";

let host: TestHost;
let sandbox: Sandbox;
let store: FileStore;
const actor: FileActor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" };

beforeAll(async () => {
  host = await startTestHost();
  sandbox = await createTestSandbox(host.provider);
  store = createSandboxStore((use) => use(workspaceOf(sandbox)));
  const tree: Record<string, string> = {
    "src/a.ts": "const needle = 1;\r\nconst other = 2;\n",
    "src/deep/b.ts": "// Needle, $(touch /workspace/pwned)\n",
    "-n.txt": "needle in an odd name\n",
    "node_modules/x/index.js": "needle\n",
    ".git/config": "needle\n",
    ".env.example": "needle\n",
    "bin.dat": "needle\0needle\n",
    "short.txt": "=> {\n",
  };
  for (const [path, text] of Object.entries(tree)) await store.write(`/workspace/${path}`, encodeText(text), actor);
}, 60_000);
afterAll(() => host?.stop(), 30_000);

const code = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof FileError ? error.code : String(error)),
  );
const grep = async (pattern: string, options: object = {}) => {
  const found = await store.grep({ pattern, path: "/workspace", ignoreCase: false, maximumMatches: 100, ...options });
  return found.lines.map((match) => `${match.path.replace("/workspace/", "")}:${match.line}`);
};

describe("the sandbox's files", () => {
  it("are written, read and edited while the workload sleeps", async () => {
    expect((await sandbox.status()).state).toBe("suspended");
    expect(await store.write("/workspace/new/c.txt", encodeText("one two"), actor)).toEqual({
      created: true,
      version: null,
      bytes: 7,
    });
    expect(
      await store.edit("/workspace/new/c.txt", { oldText: "two", newText: "$& three", all: false }, actor),
    ).toMatchObject({ replacements: 1 });
    expect(decodeText((await store.read("/workspace/new/c.txt")).bytes)).toBe("one $& three");
    await store.remove("/workspace/new/c.txt", actor);
    expect(await code(store.read("/workspace/new/c.txt"))).toBe("not_found");
    expect(await code(store.read("/workspace/src"))).toBe("is_directory");
    expect(await code(store.write("/etc/passwd", encodeText("x"), actor))).not.toBe("none");
    expect((await sandbox.status()).state).toBe("suspended");
  });

  it("keep their mode through an edit", async () => {
    await sandbox.session.writeBinaryFile({
      path: "/workspace/run.sh",
      content: encodeText("#!/bin/sh\necho a\n"),
      mode: 0o755,
    });
    await store.edit("/workspace/run.sh", { oldText: "a", newText: "b", all: false }, actor);
    expect((await sandbox.session.stat({ path: "/workspace/run.sh" }))?.mode).toBe(0o755);
  });

  it("are found by name", async () => {
    expect((await store.glob("/workspace", "**/*.ts", 10)).map((match) => match.path).sort()).toEqual([
      "/workspace/src/a.ts",
      "/workspace/src/deep/b.ts",
    ]);
    expect(await store.glob("/workspace", "**/*.js", 10)).toEqual([]);
    expect((await store.glob("/workspace/node_modules", "**/*.js", 10)).map((match) => match.path)).toEqual([
      "/workspace/node_modules/x/index.js",
    ]);
    expect(await store.glob("/workspace/nowhere", "**", 10)).toEqual([]);
  });
});

describe("grep", () => {
  it("finds by literal and by expression, with the same lines", async () => {
    const expected = ["-n.txt:1", ".env.example:1", "src/a.ts:1"];
    expect(await grep("needle")).toEqual(expected);
    expect(await grep("n[e]{2}dl")).toEqual(expected);
    expect(await grep("NEEDLE", { ignoreCase: true })).toEqual([...expected, "src/deep/b.ts:1"]);
    expect(await grep("(?:needle|const) ", { mode: "lines" })).toEqual(await grep("(?:n[e]edle|c[o]nst) "));
    expect(await grep("n[e]{2}dle|Needle")).toEqual([...expected, "src/deep/b.ts:1"]);
    expect(await grep("(?i)NeeDle|absent")).toEqual([...expected, "src/deep/b.ts:1"]);
    expect(await grep("needle", { glob: "*.ts" })).toEqual(["src/a.ts:1"]);
    expect(await grep("needle", { path: "/workspace/src" })).toEqual(["src/a.ts:1"]);
    expect(await grep("needle", { path: "/workspace/src/a.ts" })).toEqual(["src/a.ts:1"]);
    expect(await grep("^const \\w+ = \\d;$")).toEqual(["src/a.ts:1", "src/a.ts:2"]);
    expect(await grep("=> \\{")).toEqual(["short.txt:1"]);
    expect(await grep("needle", { maximumMatches: 2 })).toHaveLength(2);
  });

  it("never runs what a pattern says", async () => {
    for (const pattern of [
      "\\$\\(touch /workspace/pwned\\)",
      "';touch /workspace/pwned;'",
      "`touch /workspace/pwned`",
      "--help me please",
      "-f/etc/passwd",
    ]) {
      await grep(pattern);
    }
    expect(await grep("\\$\\(touch /workspace/pwned\\)")).toEqual(["src/deep/b.ts:1"]);
    expect(await store.glob("/workspace", "pwned", 1)).toEqual([]);
  });

  it("names what is wrong", async () => {
    expect(await code(grep("("))).toBe("failed");
    expect(await code(grep("x", { path: "/workspace/nowhere" }))).toBe("not_found");
  });
});
