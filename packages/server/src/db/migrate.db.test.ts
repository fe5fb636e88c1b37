import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterEach, expect, test } from "vitest";
import { StartupError } from "../errors.ts";
import { openDatabase } from "./database.ts";
import { listMigrations, migrate } from "./migrate.ts";
import { createEmptyDatabase } from "./testing.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const task of cleanUp.splice(0).reverse()) await task();
});

async function emptyDatabase(): Promise<string> {
  const { url, drop } = await createEmptyDatabase();
  cleanUp.push(drop);
  return url;
}
function directoryWith(files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), "exoloop-migrations-"));
  cleanUp.push(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}
async function query<Row extends object>(url: string, text: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

test("four processes migrate at once: each migration runs once, and later there is nothing to do", async () => {
  const url = await emptyDatabase();
  const runs = await Promise.all([migrate(url), migrate(url), migrate(url), migrate(url)]);
  expect(runs.flat()).toEqual(listMigrations());
  expect(await migrate(url)).toEqual([]);
});

test("a migration that fails leaves nothing behind, and says so in one sentence", async () => {
  const url = await emptyDatabase();
  const directory = directoryWith({
    "0001_good.sql": "-- Up Migration\ncreate table good (id int);\n-- Down Migration\ndrop table good;\n",
    "0002_bad.sql": "-- Up Migration\ncreate table bad (id nonsense);\n-- Down Migration\ndrop table bad;\n",
  });
  const attempt = migrate(url, directory);
  await expect(attempt).rejects.toBeInstanceOf(StartupError);
  await expect(attempt).rejects.toThrow(/could not be brought up to date \(.*nonsense.*\): nothing was changed\.$/);
  expect(await query(url, "select from pg_tables where tablename in ('good', 'bad')")).toEqual([]);
  expect(await query(url, "select name from schema_migrations")).toEqual([]);
});

test("a database that is newer than the code is refused", async () => {
  const url = await emptyDatabase();
  await migrate(url);
  await query(url, "insert into schema_migrations (name, run_on) values ('0999_future', now())");
  await expect(migrate(url)).rejects.toThrow(/written by a newer Exoloop \(it knows the migration 0999_future\)/);
});

test("down migrations remove what up migrations made", async () => {
  const url = await emptyDatabase();
  await migrate(url);
  const { runner } = await import("node-pg-migrate");
  const dir = join(import.meta.dirname, "migrations");
  await runner({
    databaseUrl: url,
    dir,
    direction: "down",
    count: 999,
    migrationsTable: "schema_migrations",
    ignorePattern: "(?!.*\\.sql$).*",
    log: () => undefined,
  });
  expect(await query(url, "select tablename from pg_tables where schemaname = 'public'")).toEqual([
    { tablename: "schema_migrations" },
  ]);
});

test.each([
  [
    "postgres://user:hunter2@127.0.0.1:1/db",
    /^The database at 127\.0\.0\.1:1 does not answer: the connection was refused; check DATABASE_URL\.$/,
  ],
  [
    "postgres://user:hunter2@host.invalid/db",
    /^The database at host\.invalid:5432 does not answer: (no such host is known|its name could not be looked up); check/,
  ],
  [
    "postgres://user:hunter2@/db?host=/no/such/directory",
    /^The database at \/no\/such\/directory does not answer: there is no such socket; check/,
  ],
  [
    "postgres://user:hunter2@[::bad/db",
    /^The database at the address in DATABASE_URL .*: it is not a Postgres address/,
  ],
])("an address where nobody answers: %s", async (url, message) => {
  const open = () => openDatabase(url, { maximumConnections: 1, applicationName: "test" });
  for (const attempt of [open, () => migrate(url)]) {
    const error: unknown = await attempt().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StartupError);
    expect(error instanceof Error ? error.message : "").toMatch(message);
    expect(JSON.stringify(error) + String(error)).not.toContain("hunter2");
  }
});

test("a wrong password and an unknown database are told apart", async () => {
  const url = new URL(await emptyDatabase());
  const options = { maximumConnections: 1, applicationName: "test" };
  const wrongName = new URL(url);
  wrongName.pathname = "/no_such_database";
  await expect(openDatabase(wrongName.toString(), options)).rejects.toThrow("it has no database of this name");
  url.password = "hunter2";
  await expect(openDatabase(url.toString(), options)).rejects.toThrow("it refuses the user name or the password");
});
