/** The answers of the memory tool, word for word as the Anthropic SDK's own implementation gives them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BetaLocalFilesystemMemoryTool, betaMemoryTool } from "@anthropic-ai/sdk/tools/memory/node";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount, personalMemoryMount, storedMounts, type StoredMount } from "../../files/mounts.ts";
import { createHistoryStore } from "../../files/history-store.ts";
import { createStoredFiles, type StoredFiles } from "../../files/postgres/stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "../../files/postgres/testing.ts";
import { createSessionFiles } from "../../files/session-files.ts";
import { answerOf, callTool } from "../testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let sessionId: string;
let directory: string;

beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
  directory = await mkdtemp(join(tmpdir(), "exoloop-memory-"));
  return () => rm(directory, { recursive: true, force: true });
});

async function call(name: string, input: Record<string, unknown>, mounts: readonly StoredMount[] = storedMounts) {
  const result = await callTool(name, input, {
    toolUseId: createId("event"),
    actor: actorOf(organizationId, sessionId),
    files: createSessionFiles({
      files,
      organizationId,
      sessionId,
      mounts,
      history: createHistoryStore(test.database, sessionId),
      useWorkspace: () => Promise.reject(new Error("the sandbox was woken")),
    }),
  });
  return answerOf(result);
}

/** Sizes of directories are those of a file system there; the second line is the directory itself. */
const withoutSizes = (text: string) =>
  text.replaceAll(/^[\d.]+[BKMG]\t(.*\/)$/gm, "SIZE\t$1").replace(/(node_modules:\n)[\d.]+[BKMG]\t/, "$1SIZE\t");

describe("memory", () => {
  it.each<[string, Record<string, unknown>[]]>([
    [
      "view, create, edit",
      [
        { command: "create", path: "/memories/a.md", file_text: "one\ntwo\nthree\nfour\nfive\n" },
        { command: "create", path: "/memories/a.md", file_text: "other" },
        { command: "view", path: "/memories/a.md" },
        { command: "view", path: "/memories/a.md", view_range: [2, 3] },
        { command: "view", path: "/memories/a.md", view_range: [4, -1] },
        { command: "str_replace", path: "/memories/a.md", old_str: "three", new_str: "3\n3.5" },
        { command: "str_replace", path: "/memories/a.md", old_str: "o", new_str: "0" },
        { command: "str_replace", path: "/memories/a.md", old_str: "none", new_str: "x" },
        { command: "insert", path: "/memories/a.md", insert_line: 0, insert_text: "zero\n" },
        { command: "insert", path: "/memories/a.md", insert_line: 99, insert_text: "x" },
        { command: "view", path: "/memories/a.md" },
        { command: "view", path: "/memories/none.md" },
        { command: "str_replace", path: "/memories/none.md", old_str: "a", new_str: "b" },
        { command: "insert", path: "/memories/none.md", insert_line: 0, insert_text: "b" },
        { command: "view", path: "/etc/passwd" },
        { command: "view", path: "/memories/../../etc/passwd" },
      ],
    ],
    [
      "directories, renames, deletions",
      [
        { command: "create", path: "/memories/d/e/deep.md", file_text: "x" },
        { command: "create", path: "/memories/d/e/f/deeper.md", file_text: "x" },
        { command: "create", path: "/memories/.hidden", file_text: "x" },
        { command: "create", path: "/memories/z.md", file_text: "x".repeat(1536) },
        { command: "view", path: "/memories" },
        { command: "view", path: "/memories/d" },
        { command: "rename", old_path: "/memories/z.md", new_path: "/memories/y/z.md" },
        { command: "rename", old_path: "/memories/z.md", new_path: "/memories/q.md" },
        { command: "rename", old_path: "/memories/d", new_path: "/memories/y/z.md" },
        { command: "rename", old_path: "/memories/d", new_path: "/memories/moved" },
        { command: "rename", old_path: "/memories", new_path: "/memories/q" },
        { command: "str_replace", path: "/memories/moved", old_str: "a", new_str: "b" },
        { command: "view", path: "/memories" },
        { command: "delete", path: "/memories/moved" },
        { command: "delete", path: "/memories/moved" },
        { command: "delete", path: "/memories/y/z.md" },
        { command: "delete", path: "/memories" },
        { command: "view", path: "/memories" },
      ],
    ],
  ])("%s: answers as the SDK's own", async (_name, inputs) => {
    const theirs = betaMemoryTool(await BetaLocalFilesystemMemoryTool.init(directory));
    for (const input of inputs) {
      const expected = await Promise.resolve(theirs.run(theirs.parse(input))).then(
        String,
        (error: Error) => error.message,
      );
      expect(withoutSizes(await call("memory", input)), JSON.stringify(input)).toBe(
        input["path"] === "/memories/../../etc/passwd"
          ? 'memory: The path "/memories/../../etc/passwd" leads out of the file system.'
          : withoutSizes(expected),
      );
    }
  });

  it("keeps carriage returns", async () => {
    await call("memory", { command: "create", path: "/memories/w.md", file_text: "one\r\ntwo\r\n" });
    await call("memory", { command: "insert", path: "/memories/w.md", insert_line: 1, insert_text: "1.5\n1.7" });
    await call("memory", { command: "str_replace", path: "/memories/w.md", old_str: "1.7\ntwo", new_str: "2\n3" });
    const store = files.open({ organizationId, sessionId: null }, organizationMemoryMount);
    expect(Buffer.from((await store.read("/memory/org/w.md")).bytes).toString()).toBe("one\r\n1.5\r\n2\r\n3\r\n");
  });

  it("is the session's own where it has one", async () => {
    const mounts = [...storedMounts, personalMemoryMount("user_1")];
    await call("memory", { command: "create", path: "/memories/a.md", file_text: "mine" }, mounts);
    expect(await call("read", { file_path: "/memory/me/a.md" }, mounts)).toBe("     1\tmine");
    expect(await call("read", { file_path: "/mnt/memory/me/a.md" }, mounts)).toBe("     1\tmine");
    expect(await call("grep", { pattern: "mine", path: "/memories" }, mounts)).toBe("/memory/me/a.md:1:mine");
    expect(await call("read", { file_path: "/memories/a.md" })).toBe("read: /memory/org/a.md does not exist.");
  });

  it("says what is wrong with its arguments", async () => {
    expect(await call("memory", { command: "create", path: "/memories/a" })).toContain("file_text");
    expect(await call("memory", { command: "undo", path: "/memories/a" })).toContain("command");
    expect(await call("memory", { command: "view", path: "/memories/../skills" })).toBe(
      "Path /memories/../skills would escape /memories directory",
    );
  });
});

describe("a patch over several stored files", () => {
  it("is one commit", async () => {
    await call("write", { file_path: "/memory/org/a.md", content: "a\n" });
    const before = await files.revision(organizationId, organizationMemoryMount);
    const patch =
      "*** Begin Patch\n*** Update File: /memories/a.md\n*** Move to: /memories/b.md\n-a\n+b\n*** Add File: /memories/c.md\n+c\n*** End Patch";
    expect(await call("apply_patch", { patch })).toBe(
      "Success. Updated the following files:\nM /memory/org/a.md -> /memory/org/b.md\nA /memory/org/c.md",
    );
    expect(await files.revision(organizationId, organizationMemoryMount)).toBe(before + 1);
    // The session knows what it has written: it may write over it.
    expect(await call("write", { file_path: "/memory/org/b.md", content: "B" })).toContain("updated successfully");
    expect(await call("write", { file_path: "/memory/org/c.md", content: "C" })).toContain("updated successfully");
  });

  it("in two places says that it was not atomic, the sandbox first", async () => {
    const mounts = [...storedMounts, personalMemoryMount("user_1")];
    const patch =
      "*** Begin Patch\n*** Add File: /memory/me/a.md\n+a\n*** Add File: /memory/org/b.md\n+b\n*** End Patch";
    expect(await call("apply_patch", { patch }, mounts)).toContain("This was not atomic");
  });
});
