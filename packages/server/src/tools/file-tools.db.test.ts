import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { createStoredFiles, type StoredFiles } from "../files/postgres/stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "../files/postgres/testing.ts";
import { createHistoryStore } from "../files/history-store.ts";
import { createSessionFiles } from "../files/session-files.ts";
import { skillManifest } from "../files/testing-skills.ts";
import { organizationMemoryMount, storedMounts } from "../files/mounts.ts";
import { pdfOf } from "./pdf/testing.ts";
import { answerOf, callTool, stepsIn } from "./testing.ts";
import { toolCases } from "./testing-cases.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let sessionId: string;

beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
});

/** No call here may need the sandbox. */
async function call(name: string, input: Record<string, unknown>, toolUseId = createId("event"), as = sessionId) {
  const result = await callTool(name, input, {
    toolUseId,
    actor: actorOf(organizationId, as),
    files: createSessionFiles({
      files,
      organizationId,
      sessionId: as,
      mounts: storedMounts,
      history: createHistoryStore(test.database, as),
      useWorkspace: () => Promise.reject(new Error("the sandbox was woken")),
    }),
  });
  return answerOf(result);
}

describe("answers on stored files", () => {
  it.each(toolCases.filter((one) => one.notSupported?.in !== "stored").map((one) => [one.name, one] as const))(
    "%s",
    async (_name, one) => {
      const other = await createTestSession(test.database, organizationId);
      for (const { tool, input, answer } of stepsIn(one, "/memory/org/case", true)) {
        if (tool === "theirs") {
          const file = { file_path: input["path"], content: input["text"] };
          await call("read", file, createId("event"), other);
          await call("write", file, createId("event"), other);
        } else {
          const shown = (await call(tool, input))
            .replaceAll(other, "OTHER")
            .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
          expect(shown, JSON.stringify(input)).toBe(answer);
        }
      }
    },
  );
});

describe("tools on stored files", () => {
  it("write, read, edit, find, without the sandbox", async () => {
    const file_path = "/memory/org/notes/a.md";
    expect(await call("write", { file_path, content: "one\ntwo\nthree\n" })).toBe(
      "File created successfully at: /memory/org/notes/a.md (version 1)",
    );
    expect(await call("edit", { file_path, old_string: "two", new_string: "2" })).toBe(
      "The file /memory/org/notes/a.md has been updated successfully. (version 2)",
    );
    expect(await call("read", { file_path })).toBe("     1\tone\n     2\t2\n     3\tthree");
    expect(await call("read", { file_path, view_range: [2, 2] })).toBe(
      "     2\t2\n[lines 2 to 2 of 3; use offset and limit for other parts]",
    );
    expect(await call("read", { file_path, offset: 3, limit: 9 })).toBe("     3\tthree");
    expect(await call("read", { file_path, view_range: [9, 12] })).toContain("The file has 3 lines.");
    expect(await call("grep", { pattern: "^t", path: "/memory" })).toBe("/memory/org/notes/a.md:3:three");
    expect(await call("grep", { pattern: "e", path: "/memory", output_mode: "count" })).toBe(
      "/memory/org/notes/a.md:2\n\nFound 2 total occurrences across 1 file.",
    );
    expect(await call("grep", { pattern: "e", path: "/memory", output_mode: "files_with_matches" })).toBe(
      `Found 1 file\n${file_path}`,
    );
    expect(await call("glob", { pattern: "**/*.md", path: "/memory" })).toBe(file_path);
    expect(await call("glob", { pattern: "*.md", path: "/skills" })).toBe("No files found");
  });

  it("do not repeat a write that was carried out before", async () => {
    const id = createId("event");
    const input = { file_path: "/memory/org/a.md", content: "x" };
    expect(await call("write", input, id)).toBe(await call("write", input, id));
    expect(await files.revision(organizationId, organizationMemoryMount)).toBe(1);
  });

  it("tell why nothing was written", async () => {
    await files.importSkill(organizationId, "review", [skillManifest("review", "how\n")]);
    expect(await call("read", { file_path: "/skills/review/SKILL.md" })).toContain("     5\thow");
    expect(await call("write", { file_path: "/skills/review/SKILL.md", content: "x" })).toContain(
      "/skills is read-only",
    );
    expect(await call("write", { file_path: "/memory/a.md", content: "x" })).toContain(
      "What is to be kept goes under /memory/org",
    );
    expect(await call("read", { file_path: "/memory/org/none.md" })).toBe("read: /memory/org/none.md does not exist.");
    expect(await call("read", { file_path: "/skills/review" })).toBe("read: /skills/review is a directory.");
  });

  it("show pictures and PDFs", async () => {
    const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0]);
    await files.importSkill(organizationId, "review", [
      skillManifest("review", "how\n"),
      { path: "a.png", bytes: png },
      { path: "a.pdf", bytes: pdfOf(["Hello"]) },
      { path: "data.bin", bytes: new Uint8Array([1, 0, 2]) },
    ]);
    expect(await call("read", { file_path: "/skills/review/a.png" })).toBe("image/png");
    expect(await call("read", { file_path: "/skills/review/a.pdf" })).toBe("application/pdf");
    expect(await call("read", { file_path: "/skills/review/a.pdf", pages: "1" })).toBe("[page 1 of 1]\nHello");
    expect(await call("read", { file_path: "/skills/review/data.bin" })).toContain("is a binary file of 3 bytes");
  });
});
