/**
 * A database of its own for every test that asks: copied from a template that is migrated once for each state of the
 * migrations. The server is DATABASE_URL's, or one embedded Postgres that all test runs of this user share.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, escapeIdentifier } from "pg";
import { type Database, openDatabase } from "./database.ts";
import { startEmbeddedPostgres } from "./embedded/supervisor.ts";
import { listMigrations, migrate, migrationsDirectory } from "./migrate.ts";

export interface TestDatabase {
  readonly url: string;
  readonly database: Database;
  /** Ends the pool and removes the database, also from under connections that are still open. */
  drop(): Promise<void>;
}

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * @example
 *   const test = await createTestDatabase();
 *   afterAll(() => test.drop());
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = await serverUrl();
  const name = `exoloop_test_${Date.now().toString(36)}_${randomBytes(5).toString("hex")}`;
  const template = await withClient(server, (client) => ensureTemplate(client, server));
  await withClient(server, async (client) => {
    await removeOldDatabases(client);
    await client.query(`create database ${escapeIdentifier(name)} template ${escapeIdentifier(template)}`);
  });
  const url = databaseUrl(server, name);
  const database = await openDatabase(url, { maximumConnections: 10, applicationName: "exoloop test" });
  const drop = async () => {
    await database.destroy();
    await withClient(server, (client) =>
      client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`),
    );
  };
  return { url, database, drop };
}

/** An empty database without our schema. */
export async function createEmptyDatabase(): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const server = await serverUrl();
  const name = `exoloop_test_${Date.now().toString(36)}_${randomBytes(5).toString("hex")}`;
  await withClient(server, (client) => client.query(`create database ${escapeIdentifier(name)}`));
  const drop = async () => {
    await withClient(server, (client) =>
      client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`),
    );
  };
  return { url: databaseUrl(server, name), drop };
}

let embedded: Promise<string> | undefined;
function serverUrl(): Promise<string> {
  const given = process.env.DATABASE_URL;
  if (given !== undefined && given !== "") return Promise.resolve(given);
  const directory = join(tmpdir(), `exoloop-test-postgres-${process.getuid?.() ?? "user"}`);
  embedded ??= startEmbeddedPostgres({ directory, log: silent }).then((server) => server.url);
  return embedded;
}

/** Serialised between all workers: copying needs a template that nobody is connected to. */
async function ensureTemplate(client: Client, server: string): Promise<string> {
  const hash = createHash("sha256");
  for (const migration of listMigrations())
    hash.update(migration).update(readFileSync(join(migrationsDirectory, `${migration}.sql`)));
  const template = `exoloop_template_${hash.digest("hex").slice(0, 16)}`;
  await client.query("select pg_advisory_lock(hashtext('exoloop test template'))");
  const { rowCount } = await client.query("select from pg_database where datname = $1 and datistemplate", [template]);
  if (rowCount === 1) return template;
  // Left by a run that died while it migrated.
  await client.query(`drop database if exists ${escapeIdentifier(template)} with (force)`);
  await client.query(`create database ${escapeIdentifier(template)}`);
  await migrate(databaseUrl(server, template));
  await client.query(`alter database ${escapeIdentifier(template)} is_template true`);
  return template;
}

/** Databases of test runs that died more than an hour ago. */
async function removeOldDatabases(client: Client): Promise<void> {
  if (Math.random() > 0.05) return;
  const { rows } = await client.query<{ name: string }>(
    "select datname as name from pg_database where datname like 'exoloop\\_test\\_%'",
  );
  for (const { name } of rows) {
    const createdAt = Number.parseInt(name.split("_")[2] ?? "", 36);
    if (createdAt < Date.now() - 3_600_000)
      await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`);
  }
}

/** Ends the session afterwards, and with it the advisory lock it may hold. */
async function withClient<Result>(url: string, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url, application_name: "exoloop test set-up" });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.toString();
}
