import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount as memory } from "../mounts.ts";
import type { DirectoryOperations, FileStore } from "../store.ts";
import { encodeText } from "../text.ts";
import { createStoredFiles, type StoredFiles } from "./stored-files.ts";
import { settleTexts } from "./settle-texts.ts";
import { actorOf, createTestOrganization } from "./testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let store: FileStore & DirectoryOperations;

beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  store = files.open({ organizationId, sessionId: null }, memory);
});

const at = (path: string) => `/memory/org${path}`;
const actor = () => actorOf(organizationId, null, "api");
const settle = () => settleTexts(test.database, new AbortController().signal);
const waiting = async () => {
  const { rows } = await sql<{ path: string; fresh: boolean }>`
    select path, fresh from file_texts join file_entries on id = entry_id
    where file_texts.organization_id = ${organizationId} order by path`.execute(test.database);
  return rows.map(({ path, fresh }) => [path, fresh]);
};
const found = async (pattern: string) => {
  const request = { pattern, path: "/memory", ignoreCase: false, maximumMatches: 99 };
  return (await store.grep(request)).lines.map((match) => match.path.slice(11));
};
const edit = (path: string, oldText: string, newText: string) =>
  store.edit(at(path), { oldText, newText, all: false }, actor());

it("what was written just now is found, waits for the index, and is found in it", async () => {
  await store.write(at("/a.md"), encodeText("the needle"), actor(), null);
  await store.write(at("/b.md"), encodeText("the haystack"), actor(), null);
  expect(await waiting()).toEqual([
    ["/a.md", true],
    ["/b.md", true],
  ]);
  expect(await found("needle")).toEqual(["/a.md"]);
  expect(await settle()).toBe(2);
  expect(await found("needle")).toEqual(["/a.md"]);
  await edit("/a.md", "needle", "pin");
  expect(await waiting()).toEqual([
    ["/a.md", true],
    ["/b.md", false],
  ]);
  expect([await found("needle"), await found("the (pin|haystack)")]).toEqual([[], ["/a.md", "/b.md"]]);
  await store.remove(at("/b.md"), actor());
  await store.remove(at("/a.md"), actor());
  expect([await waiting(), await settle()]).toEqual([[], 0]);
});

it("many files at once go into the index at once", async () => {
  const changes = Array.from({ length: 20 }, (_, index) => ({
    type: "put" as const,
    path: at(`/f${index}.md`),
    bytes: encodeText(`text ${index}`),
    executable: false,
    operation: "write" as const,
  }));
  await files.commit({ mount: memory, actor: actor(), paths: [] }, () => ({ changes, result: null }));
  expect((await waiting()).filter(([, fresh]) => fresh)).toEqual([]);
});

it("a text that changes while it is put there is there once, and the last", async () => {
  const names = ["/a.md", "/b.md", "/c.md"];
  for (const name of names) await store.write(at(name), encodeText("round 0."), actor(), null);
  let writing = true;
  const settling = (async () => {
    while (writing) await settle();
  })();
  const writers = names.map(async (name) => {
    for (let round = 0; round < 40; round += 1) await edit(name, `round ${round}.`, `round ${round + 1}.`);
  });
  await Promise.all(writers);
  writing = false;
  await settling;
  await settle();
  expect(await waiting()).toEqual(names.map((name) => [name, false]));
  expect(await found("round 40\\.")).toEqual(names);
}, 60_000);
