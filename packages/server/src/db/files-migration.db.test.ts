import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runner } from "node-pg-migrate";
import { Client } from "pg";
import { afterEach, expect, test } from "vitest";
import { listMigrations, migrate, migrationsDirectory } from "./migrate.ts";
import { createEmptyDatabase } from "./testing.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const task of cleanUp.splice(0).reverse()) await task();
});

/** Stored files as they were when their paths began with the mount, and directories had no history. */
const older = `
  insert into organizations (id, name) values ('org_1', 'one');
  insert into file_mounts (organization_id, mount, revision, files)
    values ('org_1', '/memory/org', 3, 1), ('org_1', '/skills', 1, 1);
  insert into file_blobs (organization_id, sha256, content) values ('org_1', 's1', 'one'), ('org_1', 's2', 'three');
  insert into file_entries (organization_id, mount, path, folded_path, kind, version, revision, sha256, size_bytes) values
    ('org_1', '/memory/org', '/memory/org/Notes', '/memory/org/notes', 'directory', 0, 1, null, 0),
    ('org_1', '/memory/org', '/memory/org/Notes/a.md', '/memory/org/notes/a.md', 'file', 2, 2, 's2', 5),
    ('org_1', '/skills', '/skills/review', '/skills/review', 'directory', 0, 1, null, 0),
    ('org_1', '/skills', '/skills/review/SKILL.md', '/skills/review/skill.md', 'file', 1, 1, 's1', 3);
  insert into file_texts (entry_id, organization_id, body) select id, 'org_1', 'three' from file_entries where sha256 = 's2';
  insert into file_versions (organization_id, mount, revision, ordinal, path, version, operation, sha256, size_bytes, executable, via) values
    ('org_1', '/memory/org', 1, 0, '/memory/org/Notes/a.md', 1, 'create', 's1', 3, false, 'tool'),
    ('org_1', '/memory/org', 1, 1, '/memory/org/gone.md', 1, 'create', 's1', 3, false, 'tool'),
    ('org_1', '/memory/org', 2, 0, '/memory/org/Notes/a.md', 2, 'edit', 's2', 5, false, 'bash'),
    ('org_1', '/memory/org', 3, 0, '/memory/org/gone.md', 2, 'delete', null, 0, false, 'api'),
    ('org_1', '/skills', 1, 0, '/skills/review/SKILL.md', 1, 'create', 's1', 3, false, 'import');
  insert into file_conflicts (organization_id, path, sha256) values ('org_1', '/memory/org/Notes/a.md', 's1');`;

test("files that were stored before mounts had keys come out right, and go back", async () => {
  const { url, drop } = await createEmptyDatabase();
  const client = new Client({ connectionString: url });
  cleanUp.push(drop, () => client.end());
  await client.connect();
  const rows = async (text: string) => (await client.query<unknown[]>({ text, rowMode: "array" })).rows;
  await migrate(url, migrationsBefore("0015"));
  await client.query(older);
  const entries = "select mount, path, folded_path, kind, version, sha256 from file_entries order by mount, path";
  const before = await rows(entries);

  await migrate(url);
  expect(await rows(entries)).toEqual([
    ["memory/org", "/Notes", "/notes", "directory", 1, null],
    ["memory/org", "/Notes/a.md", "/notes/a.md", "file", 2, "s2"],
    ["skills", "/review", "/review", "directory", 1, null],
    ["skills", "/review/SKILL.md", "/review/skill.md", "file", 1, "s1"],
  ]);
  expect(await rows("select mount, revision, files, directories, bytes from file_mounts order by mount")).toEqual([
    ["memory/org", "3", 1, 1, "5"],
    ["skills", "1", 1, 1, "3"],
  ]);
  const history =
    "select revision, ordinal, path, version, operation from file_versions where mount = 'memory/org' order by revision, ordinal";
  expect(await rows(history)).toEqual([
    ["1", 0, "/Notes/a.md", 1, "create"],
    ["1", 1, "/gone.md", 1, "create"],
    ["1", 2, "/Notes", 1, "make_directory"],
    ["2", 0, "/Notes/a.md", 2, "edit"],
    ["3", 0, "/gone.md", 2, "delete"],
  ]);
  const forms = "select bool_and(id ~ '^memver_[0-9A-HJKMNP-TV-Z]{26}$'), count(distinct id)::int from file_versions";
  expect(await rows(forms)).toEqual([[true, 7]]);
  const memory = "select count(distinct memory_id)::int from file_versions where path = '/Notes/a.md'";
  expect(await rows(memory)).toEqual([[1]]);
  expect(await rows("select mount, path from file_conflicts")).toEqual([["memory/org", "/Notes/a.md"]]);
  expect(await editAfterwards(client)).toMatchObject({ revision: 4, versions: [3] });

  await down(url, listMigrations().filter((name) => name >= "0015").length);
  expect((await rows(entries)).map(([mount, path, folded, kind]) => [mount, path, folded, kind])).toEqual(
    before.map(([mount, path, folded, kind]) => [mount, path, folded, kind]),
  );
  expect(await rows("select count(*)::int from file_versions where operation = 'make_directory'")).toEqual([[0]]);
  await migrate(url);
  expect(await rows("select count(*)::int from file_versions")).toEqual([[8]]);
}, 60_000);

/** What was there before can be changed as anything else can. */
async function editAfterwards(client: Client): Promise<object | undefined> {
  const put = { type: "put", operation: "edit", sha256: "s3", offset: 0, size: 4, text: true };
  const change = { ...put, id: "memver_x", path: "/Notes/a.md", folded: "/notes/a.md", expected: 2 };
  const limits = { files: 9, bytes: 99, longest: 900, deepest: 9 };
  const { rows } = await client.query<{ answer: object }>(
    "select file_commit('org_1', 'memory/org', $1, $2, $3, 'four') as answer",
    [{ via: "api" }, limits, JSON.stringify([change])],
  );
  return rows[0]?.answer;
}

function migrationsBefore(number: string): string {
  const directory = mkdtempSync(join(tmpdir(), "exoloop-migrations-"));
  cleanUp.push(() => rmSync(directory, { recursive: true }));
  for (const name of listMigrations()) {
    if (name < number) copyFileSync(join(migrationsDirectory, `${name}.sql`), join(directory, `${name}.sql`));
  }
  return directory;
}

async function down(url: string, count: number): Promise<void> {
  await runner({
    databaseUrl: url,
    dir: migrationsDirectory,
    direction: "down",
    count,
    migrationsTable: "schema_migrations",
    ignorePattern: "(?!.*\\.sql$).*",
    log: () => undefined,
  });
}
