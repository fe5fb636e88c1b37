/** How many rows a question about one path, file or page reads, in a large mount, also before there are statistics. @module */
import { type Kysely, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../db/database.ts";
import type { Tables } from "../../db/tables.ts";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { findMemory, findOverlap } from "../memory/memory-rows.ts";
import { openStore } from "../memory/store-access.ts";
import { createMemoryVersionRepository } from "../memory/versions.ts";
import { organizationMemoryMount as memory } from "../mounts.ts";
import { createStoredFiles, type StoredFiles } from "./stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "./testing.ts";

const [files, rounds] = [3_000, 3];
const most = 300;
const path = "/memory/org/d7/f1007.md";

let test: TestDatabase;
/** One connection: its counters are asked for behind each question. */
let database: Kysely<Tables>;
let stored: StoredFiles;
let organizationId: string;
let sessionId: string;

beforeAll(async () => {
  test = await createTestDatabase();
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
  for (const table of ["file_entries", "file_versions", "file_reads", "file_blobs", "file_mounts"])
    await sql.raw(`alter table ${table} set (autovacuum_enabled = false)`).execute(test.database);
  await fill();
  database = await openDatabase(test.url, { maximumConnections: 1, applicationName: "exoloop test" });
  stored = createStoredFiles(database);
}, 120_000);
afterAll(async () => {
  await database?.destroy();
  await test?.drop();
});

/** Every file has been written in each round, one in each revision. */
async function fill(): Promise<void> {
  const last = files * rounds;
  await sql`insert into file_mounts (organization_id, mount, revision, files, directories)
    values (${organizationId}, 'memory/org', ${last}, ${files}, 100)`.execute(test.database);
  await sql`insert into file_entries (organization_id, mount, path, folded_path, kind, version, revision)
    select ${organizationId}, 'memory/org', '/d' || number, '/d' || number, 'directory', 1, 1
    from generate_series(0, 99) number`.execute(test.database);
  await sql`insert into file_blobs select ${organizationId}, md5(number::text) || md5(number::text),
    convert_to('text ' || number, 'UTF8') from generate_series(0, ${last}::integer - 1) number`.execute(test.database);
  await sql`insert into file_versions (organization_id, mount, revision, ordinal, path, version, operation, sha256,
      size_bytes, executable, session_id, tool_use_id, via, id, memory_id)
    select ${organizationId}, 'memory/org', number + 1, 0, '/d' || number % ${files} % 100 || '/f' || number % ${files} || '.md',
      number / ${files} + 1, case when number < ${files} then 'create' else 'write' end,
      md5(number::text) || md5(number::text), 10, false, 'sesn_other', 'call_' || number, 'tool', 'memver_' || number,
      'mem_' || number % ${files}
    from generate_series(0, ${last}::integer - 1) number`.execute(test.database);
  await sql`insert into file_entries (organization_id, mount, path, folded_path, kind, version, revision, sha256, size_bytes,
      memory_id)
    select organization_id, mount, path, path, 'file', version, revision, sha256, size_bytes, memory_id
    from file_versions where version = ${rounds}`.execute(test.database);
  await sql`insert into file_reads (session_id, organization_id, mount, path, version)
    select ${sessionId}, organization_id, mount, path, version from file_entries where kind = 'file'`.execute(
    test.database,
  );
}

async function rowsRead(): Promise<number> {
  await sql`select pg_stat_force_next_flush()`.execute(database);
  const { rows } = await sql<{ count: number }>`
    select sum(seq_tup_read + idx_tup_fetch)::float8 as count from pg_stat_user_tables`.execute(database);
  return rows[0]?.count ?? 0;
}

/** The seventh time: by then Postgres has made a plan for all parameters and kept it. */
async function readsOf(question: () => Promise<unknown>): Promise<number> {
  let before = 0;
  for (let time = 0; time < 7; time += 1) {
    before = await rowsRead();
    await question();
  }
  return (await rowsRead()) - before;
}

let number = 0;
const person = () => actorOf(organizationId, null, "api");
const caller = () => ({ organizationId, apiKeyId: "apikey_a" });
const open = () => openStore(database, caller(), "memstore_org");
const versions = () => createMemoryVersionRepository(database);
const list = (filter: Parameters<StoredFiles["history"]["list"]>[2]) =>
  stored.history.list(organizationId, memory, filter, { limit: 20 });
const session = () => stored.open({ organizationId, sessionId }, memory);
const page = { view: "basic" as const, limit: 20, after: null };
/** Before the last three changes. */
const recent = async () => (await stored.revision(organizationId, memory)) - 3;

const questions: Readonly<Record<string, () => Promise<unknown>>> = {
  "a reading": () => session().read(path),
  "a renaming": async () => {
    number += 1;
    const name = `/memory/org/d8/${number}`;
    await session().write(name, Buffer.from(name), person(), null);
    await session().rename(name, `${name}.md`, person());
  },
  "a removal of a directory": async () => {
    number += 1;
    await session().makeDirectory(`/memory/org/empty${number}`, person());
    await session().removeTree(`/memory/org/empty${number}`, person());
  },
  "the history of a path": () => list({ path }),
  "the history of no path": () => list({ path: "/memory/org/none" }),
  "the history of a file": () => list({ memoryId: "mem_1007" }),
  "the history of a session": () => list({ sessionId: "sesn_none" }),
  "the history of a call": () => list({ toolUseId: "call_1007" }),
  "a restoration": () =>
    stored.history.restore({ mount: memory, actor: person(), path, to: { revision: files + 1_008 }, dryRun: true }),
  "what a sandbox lacks": async () => stored.projections.changes({ organizationId, sessionId }, memory, await recent()),
  "what has changed": async () => stored.changesSince(organizationId, memory, await recent()),
  "versions of a content": () =>
    stored.projections.versionsOfContents(organizationId, memory, [path, `${path}x`], ["a".repeat(64)]),
  "who ended a path": () =>
    stored.projections.endedBy({ organizationId, sessionId }, memory, [path, `${path}x`, `${path}y`]),
  "a memory": async () => findMemory(database, await open(), "mem_1007", "full"),
  "what is in the way of a memory": async () => findOverlap(database, await open(), "/d7"),
  "versions of a memory": () => versions().list(caller(), "memstore_org", { ...page, memoryId: "mem_1007" }),
  "versions of a session": () => versions().list(caller(), "memstore_org", { ...page, sessionId }),
};

/** Of others Postgres then believes that a whole mount is one row: they read it once, and no row of it several times. */
const always = [
  "a reading",
  "the history of a file",
  "the history of a session",
  "the history of a call",
  "what a sandbox lacks",
  "what has changed",
  "what is in the way of a memory",
  "versions of a memory",
  "versions of a session",
];
const named = (name: string) => questions[name]?.() ?? Promise.reject(new Error(name));

describe("without statistics", () => {
  it.each(always)("%s reads few rows", async (name) => {
    expect(await readsOf(() => named(name))).toBeLessThan(most);
  });

  it.each(Object.keys(questions))("%s reads no row many times", async (name) => {
    expect(await readsOf(() => named(name))).toBeLessThan(4 * files * rounds);
  });
});

describe("with statistics", () => {
  beforeAll(async () => {
    await sql`analyze`.execute(test.database);
  });

  it.each(Object.keys(questions))("%s reads few rows", async (name) => {
    expect(await readsOf(() => named(name))).toBeLessThan(most);
  });
});
