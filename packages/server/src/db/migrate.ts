/**
 * Brings the schema up to date: plain SQL files, run in order in one transaction, under an advisory lock that makes
 * other processes wait their turn and then find nothing to do.
 * @module
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { runner } from "node-pg-migrate";
import { Client } from "pg";
import { StartupError } from "../errors.ts";
import { describeAddress, unreachable } from "./database.ts";

export const migrationsDirectory = join(import.meta.dirname, "migrations");
const migrationsTable = "schema_migrations";
/** Any number nobody else uses: "exoloop" has no other advisory lock of one key. */
const migrationLock = 7_301_844_216;

/**
 * Runs what has not been run; returns the names of what was run now.
 * @throws StartupError when the database is newer than this code, cannot be reached, or a migration fails; then nothing
 *   of it is kept.
 */
export async function migrate(url: string, directory: string = migrationsDirectory): Promise<string[]> {
  const client = createClient(url);
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw unreachable(url, error);
  }
  try {
    const known = listMigrations(directory);
    // One query on a database that is up to date: the usual start takes no lock.
    const applied = await readApplied(client);
    refuseNewer(url, applied, known);
    if (known.every((name) => applied.includes(name))) return [];
    await client.query("select pg_advisory_lock($1)", [migrationLock]);
    refuseNewer(url, await readApplied(client), known);
    const run = await runner({
      dbClient: client,
      dir: directory,
      direction: "up",
      migrationsTable,
      ignorePattern: "(?!.*\\.sql$).*",
      noLock: true,
      singleTransaction: true,
      log: () => undefined,
    });
    return run.map((migration) => migration.name);
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new StartupError(
      `The database at ${describeAddress(url)} could not be brought up to date (${message}): nothing was changed.`,
    );
  } finally {
    // Ends the session, and with it the lock.
    await client.end().catch(() => undefined);
  }
}

function createClient(url: string): Client {
  try {
    return new Client({ connectionString: url, application_name: "exoloop migrate", connectionTimeoutMillis: 10_000 });
  } catch (error) {
    throw unreachable(url, error);
  }
}

/** The names of all migrations, in order, without `.sql`. */
export function listMigrations(directory: string = migrationsDirectory): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".sql"))
    .map((name) => name.slice(0, -".sql".length))
    .sort();
}

async function readApplied(client: Client): Promise<string[]> {
  const { rows: found } = await client.query<{ table: string | null }>("select to_regclass($1)::text as table", [
    migrationsTable,
  ]);
  if (found[0]?.table == null) return [];
  const { rows } = await client.query<{ name: string }>(`select name from ${migrationsTable} order by id`);
  return rows.map((row) => row.name);
}

function refuseNewer(url: string, applied: readonly string[], known: readonly string[]): void {
  const unknown = applied.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new StartupError(
    `The database at ${describeAddress(url)} was written by a newer Exoloop (it knows the migration ${unknown}): start that version, or point DATABASE_URL elsewhere.`,
  );
}
