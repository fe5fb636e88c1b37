import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { skillManifest } from "../testing-skills.ts";
import { organizationMemoryMount as memory, skillsMount } from "../mounts.ts";
import { compileSearchPattern } from "../search-pattern.ts";
import { type DirectoryOperations, FileError, type FileStore, nothingFound } from "../store.ts";
import { decodeText, encodeText } from "../text.ts";
import { candidateQuery } from "./search.ts";
import { createStoredFiles, type StoredFiles } from "./stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "./testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let sessionId: string;
let store: FileStore & DirectoryOperations;

beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
  store = files.open({ organizationId, sessionId }, memory);
});

const actor = () => actorOf(organizationId, sessionId);
const otherSession = () => createTestSession(test.database, organizationId);
const put = (path: string, text: string, version?: string | null) =>
  store.write(path, encodeText(text), actor(), version);
const textOf = async (path: string) => decodeText((await store.read(path)).bytes);
const grep = async (
  pattern: string,
  options: { path?: string; ignoreCase?: boolean; glob?: string; maximumMatches?: number } = {},
) => {
  const request = { pattern, path: "/memory", ignoreCase: false, maximumMatches: 100, ...options };
  return (await store.grep(request)).lines;
};

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "none",
    (error: unknown) => (error instanceof FileError ? error.code : String(error)),
  );
}

describe("versions", () => {
  it("grow with each change, and never name two contents", async () => {
    expect(await put("/memory/org/a.md", "1")).toEqual({ created: true, version: "1", bytes: 1 });
    expect(await put("/memory/org/a.md", "22")).toMatchObject({ created: false, version: "2" });
    expect(await put("/memory/org/a.md", "22")).toMatchObject({ version: "2" });
    await store.remove("/memory/org/a.md", actor());
    expect(await failure(store.read("/memory/org/a.md"))).toBe("not_found");
    expect(await put("/memory/org/a.md", "1")).toMatchObject({ created: true, version: "4" });
    expect(await files.revision(organizationId, memory)).toBe(4);
  });

  it("are compared before a write", async () => {
    await put("/memory/org/a.md", "1");
    expect(await failure(put("/memory/org/a.md", "x", null))).toBe("conflict");
    expect(await failure(put("/memory/org/a.md", "x", "7"))).toBe("conflict");
    expect(await failure(put("/memory/org/b.md", "x", "1"))).toBe("conflict");
    expect(await put("/memory/org/a.md", "x", "1")).toMatchObject({ version: "2" });
  });

  it("that a session does not know are not overwritten", async () => {
    await put("/memory/org/a.md", "1");
    const second = await otherSession();
    const other = files.open({ organizationId, sessionId: second }, memory);
    const write = () => other.write("/memory/org/a.md", encodeText("2"), actorOf(organizationId, second));
    expect(await failure(write())).toBe("conflict");
    await other.read("/memory/org/a.md");
    expect(await write()).toMatchObject({ version: "2" });
    await expect(put("/memory/org/a.md", "3")).rejects.toThrow(/version 2, saved by session/);
    expect(await textOf("/memory/org/a.md")).toBe("2");
    expect(await put("/memory/org/a.md", "3")).toMatchObject({ version: "3" });
  });
});

describe("idempotence", () => {
  it("gives a repeated call its first result", async () => {
    const call = actor();
    await store.write("/memory/org/a.md", encodeText("a b"), call);
    const change = { oldText: "a", newText: "aa", all: false };
    const edit = actor();
    const first = await store.edit("/memory/org/a.md", change, edit);
    expect(await store.edit("/memory/org/a.md", change, edit)).toEqual(first);
    expect(await textOf("/memory/org/a.md")).toBe("aa b");
    expect(await store.write("/memory/org/a.md", encodeText("a b"), call)).toMatchObject({
      created: true,
      version: "1",
    });
    expect(await textOf("/memory/org/a.md")).toBe("aa b");
    const removal = actor();
    await store.remove("/memory/org/a.md", removal);
    await store.remove("/memory/org/a.md", removal);
    expect(await files.revision(organizationId, memory)).toBe(3);
  });
});

describe("structure", () => {
  it("refuses overlaps, twins and names that mislead", async () => {
    await put("/memory/org/notes/a.md", "1");
    expect(await failure(put("/memory/org/notes", "x"))).toBe("is_directory");
    expect(await failure(put("/memory/org/notes/a.md/b", "x"))).toBe("path_conflict");
    expect(await failure(put("/memory/org/Notes/b.md", "x"))).toBe("path_conflict");
    expect(await failure(put("/memory/org/notes/A.md", "x"))).toBe("path_conflict");
    expect(await failure(put("/memory/org/a\u202eb", "x"))).toBe("invalid_path");
    expect(await failure(store.read("/memory/org/notes"))).toBe("is_directory");
    expect(await files.revision(organizationId, memory)).toBe(1);
    await store.remove("/memory/org/notes/a.md", actor());
    expect(await failure(put("/memory/org/notes", "x"))).toBe("is_directory");
    await store.removeTree("/memory/org/notes", actor());
    expect(await put("/memory/org/notes", "x")).toMatchObject({ created: true });
  });

  it("finds a decomposed name under its composed form", async () => {
    await put("/memory/org/e\u0301.md", "1");
    expect(await textOf("/memory/org/é.md")).toBe("1");
  });

  it("refuses binary and large files, and changes nothing", async () => {
    expect(await failure(store.write("/memory/org/a", new Uint8Array([0, 1]), actor()))).toBe("binary");
    expect(await failure(put("/memory/org/a", "x".repeat(1024 * 1024 + 1)))).toBe("too_large");
    expect(await files.revision(organizationId, memory)).toBe(0);
  });

  it("keeps organizations apart", async () => {
    await put("/memory/org/a.md", "secret word");
    const elsewhere = await createTestOrganization(test.database);
    const other = files.open({ organizationId: elsewhere, sessionId: null }, memory);
    expect(await failure(other.read("/memory/org/a.md"))).toBe("not_found");
    expect(await other.grep({ pattern: "secret", path: "/memory", ignoreCase: false, maximumMatches: 9 })).toEqual(
      nothingFound,
    );
    expect(await files.manifest(elsewhere, memory)).toEqual([]);
  });
});

describe("many writers", () => {
  it("lose no edit and find no file missing", async () => {
    await put("/memory/org/log.md", "start\nend\n");
    await put("/memory/org/large.md", "filler\n".repeat(20_000));
    const writers = Array.from({ length: 20 }, async (_, writer) => {
      const session = await otherSession();
      // Those who see the file elsewhere take no turns with the others, as another process would not.
      const view = { ...memory, prefix: writer % 4 === 0 ? "/elsewhere" : memory.prefix };
      const mine = files.open({ organizationId, sessionId: session }, view);
      for (let round = 0; round < 50; round += 1) {
        const line = `writer ${writer} round ${round}`;
        await mine.edit(
          `${view.prefix}/log.md`,
          { oldText: "end\n", newText: `${line}\nend\n`, all: false },
          actorOf(organizationId, session),
        );
      }
    });
    await Promise.all(writers);
    const lines = (await textOf("/memory/org/log.md"))?.trim().split("\n") ?? [];
    expect(lines).toHaveLength(1002);
    expect(new Set(lines).size).toBe(1002);
    const { rows } = await sql<{ revision: number }>`
      select revision from file_versions where organization_id = ${organizationId} order by revision`.execute(
      test.database,
    );
    expect(rows.map((row) => row.revision)).toEqual(Array.from({ length: 1002 }, (_, index) => index + 1));
  }, 120_000);

  it("that write whole files are told who won", async () => {
    await put("/memory/org/plan.md", "v1");
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, writer) => failure(put("/memory/org/plan.md", `writer ${writer}`, "1"))),
    );
    expect(outcomes.filter((outcome) => outcome === "none")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "conflict")).toHaveLength(19);
  });
});

describe("search", () => {
  beforeEach(async () => {
    await put("/memory/org/a.md", "the cat sat\nconcat 42\r\n100% done_now\n");
    await put("/memory/org/deep/b.txt", "Cats and dogs\n");
  });

  it("speaks one dialect", async () => {
    expect((await grep("\\bcat\\b")).map(({ path, line }) => [path, line])).toEqual([["/memory/org/a.md", 1]]);
    expect((await grep("^concat \\d+$")).map((match) => match.text)).toEqual(["concat 42"]);
    expect(await grep("sat.*concat")).toEqual([]);
    expect(await grep("100% done_now")).toHaveLength(1);
    expect(await grep("100_ done")).toHaveLength(0);
    expect(await grep("CATS", { ignoreCase: true })).toHaveLength(1);
    expect(await grep("cat", { maximumMatches: 1 })).toHaveLength(1);
    expect(await grep("a", { glob: "*.txt" })).toHaveLength(1);
    expect(await grep("cat", { path: "/memory/org/a.md" })).toHaveLength(2);
    expect(await grep("cat", { path: "/memory/org/deep", ignoreCase: true })).toHaveLength(1);
  });

  it("lists names, newest first", async () => {
    expect((await store.glob("/memory/org", "**/*.txt", 10)).map((match) => match.path)).toEqual([
      "/memory/org/deep/b.txt",
    ]);
    expect((await store.glob("/memory", "org/*.md", 10)).map((match) => match.path)).toEqual(["/memory/org/a.md"]);
    expect(await store.glob("/", "memory/**", 1)).toEqual([
      expect.objectContaining({ path: "/memory/org/deep/b.txt" }),
    ]);
    expect(await store.glob("/memory/org/dee", "**", 10)).toEqual([]);
  });

  it("uses the trigram index", async () => {
    await sql`insert into file_entries (organization_id, mount, path, folded_path, kind, version, revision, sha256)
      select ${organizationId}, 'memory/org', '/f' || n, '/f' || n, 'file', 1, 1, '' from generate_series(1, 400) n`.execute(
      test.database,
    );
    await sql`insert into file_texts (entry_id, organization_id, body)
      select id, organization_id, repeat(md5(path) || ' lorem ipsum ', 400) from file_entries where organization_id = ${organizationId} and path like '/f%'`.execute(
      test.database,
    );
    const plan = await test.database.transaction().execute(async (transaction) => {
      await sql`set local enable_seqscan = off`.execute(transaction);
      const scope = { organizationId, mount: memory };
      const query = candidateQuery(
        { ...scope, path: "/memory", after: "" },
        compileSearchPattern("the cat sat", { ignoreCase: false, multiline: false }).required,
      );
      const { rows } = await sql<{ "QUERY PLAN": string }>`explain ${query}`.execute(transaction);
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    });
    expect(plan).toContain("Bitmap Index Scan on file_texts_search");
    expect(plan).not.toContain("Seq Scan on file_texts");
    expect(await grep("the cat sat")).toHaveLength(1);
  });
});

describe("changes since a revision", () => {
  it("name each path once, with its head or its absence", async () => {
    await put("/memory/org/a.md", "1");
    await put("/memory/org/b.md", "1");
    const revision = await files.revision(organizationId, memory);
    await put("/memory/org/a.md", "2");
    await put("/memory/org/a.md", "3");
    await store.remove("/memory/org/b.md", actor());
    const changes = await files.changesSince(organizationId, memory, revision);
    expect(new Map(changes.map((change) => [change.path, change.head?.version]))).toEqual(
      new Map([
        ["/memory/org/a.md", 3],
        ["/memory/org/b.md", undefined],
      ]),
    );
    const before = await files.atRevision(organizationId, memory, revision);
    expect(before.map((file) => [file.path, file.version])).toEqual([
      ["/memory/org/a.md", 1],
      ["/memory/org/b.md", 1],
    ]);
  });
});

describe("skills", () => {
  const file = (path: string, text: string, executable = false) => ({ path, bytes: encodeText(text), executable });

  it("are imported as a whole, once", async () => {
    await files.importSkill(organizationId, "review", [
      skillManifest("review", "how"),
      file("scripts/run.sh", "#!/bin/sh", true),
      file("old.md", "x"),
    ]);
    const again = [skillManifest("review", "how, better"), file("scripts/run.sh", "#!/bin/sh", true)];
    await files.importSkill(organizationId, "review", again);
    expect(await files.importSkill(organizationId, "review", again)).toEqual({ revision: 2 });
    const manifest = await files.manifest(organizationId, skillsMount);
    expect(manifest.map((head) => [head.path, head.executable])).toEqual([
      ["/skills/review/SKILL.md", false],
      ["/skills/review/scripts/run.sh", true],
    ]);
  });

  it("stay inside their directory", async () => {
    const skill = skillManifest("review", "how");
    expect(await failure(files.importSkill(organizationId, "Review", [skill]))).toBe("invalid_skill");
    expect(await failure(files.importSkill(organizationId, "review", [skill, file("../x", "x")]))).toBe(
      "invalid_skill",
    );
    expect(await failure(files.importSkill(organizationId, "review", [skill, file("/etc/x", "x")]))).toBe(
      "invalid_skill",
    );
    expect(await failure(files.importSkill(organizationId, "review", []))).toBe("invalid_skill");
    expect(await files.revision(organizationId, skillsMount)).toBe(0);
  });
});
