/** The connection pool and its typed queries. @module */
import {
  type DatabaseConnection,
  Kysely,
  PostgresDialect,
  PostgresDriver,
  type PostgresPool,
  sql,
  type Transaction,
} from "kysely";
import { Client, Pool, type PoolConfig, types } from "pg";
import { StartupError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { keepingPrepared } from "./prepared.ts";
import type { Tables } from "./tables.ts";

export type Database = Kysely<Tables>;

export interface DatabaseOptions {
  readonly maximumConnections: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Told of idle connections that break; the pool replaces them by itself. */
  readonly log?: Pick<Logger, "warn">;
}

/** The oldest Postgres whose SQL is used here. */
export const minimumPostgres = 15;

const bigintType = 20;

/**
 * Opens a pool and proves that the database answers and is new enough. End it with `database.destroy()`.
 * @throws StartupError naming the database's address, never its password.
 * @example const database = await openDatabase(url, { maximumConnections: 10, applicationName: "exoloop" });
 */
export async function openDatabase(url: string, options: DatabaseOptions): Promise<Database> {
  const pool = createPool(url, {
    max: options.maximumConnections,
    application_name: options.applicationName,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  // Without a listener a broken idle connection would end the process.
  pool.on("error", (error) => options.log?.warn({ error }, "an idle database connection broke"));
  const database = new Kysely<Tables>({ dialect: new CommitDialect({ pool: keepingPrepared(pool) }) });
  try {
    const { rows } = await sql<{
      version: number;
    }>`select current_setting('server_version_num')::int as version`.execute(database);
    const major = Math.floor((rows[0]?.version ?? 0) / 10_000);
    if (major < minimumPostgres) {
      throw new StartupError(
        `The database at ${describeAddress(url)} is Postgres ${major}, and Exoloop needs ${minimumPostgres} or newer: point DATABASE_URL to one.`,
      );
    }
    return database;
  } catch (error) {
    await database.destroy();
    throw error instanceof StartupError ? error : unreachable(url, error);
  }
}

/** What every connection of ours has in common: bigint columns are known to stay below 2^53 and are read as numbers. */
export function createPool(url: string, config: PoolConfig): Pool {
  try {
    const pool = new Pool({ ...config, connectionString: url, types: { getTypeParser: typeParser } });
    // The pool listens to idle connections alone. One that breaks between two queries of a transaction would end the
    // process; the next query fails, and tells.
    pool.on("connect", (client) => client.on("error", () => undefined));
    return pool;
  } catch (error) {
    throw unreachable(url, error);
  }
}

function typeParser(...[type, format]: Parameters<typeof types.getTypeParser>): ReturnType<typeof types.getTypeParser> {
  return type === bigintType && format !== "binary" ? Number : types.getTypeParser(type, format);
}

/**
 * Runs `work` in one transaction; a throw rolls it back.
 * @example await withTransaction(database, (transaction) => claimSession(transaction, id));
 */
export function withTransaction<Result>(
  database: Database,
  work: (transaction: Transaction<Tables>) => Promise<Result>,
): Promise<Result> {
  return database.transaction().execute(work);
}

const commitHooks = new WeakMap<DatabaseConnection, (() => void)[]>();

/**
 * Calls `hook` once the transaction has committed, and never when it is rolled back. For hints such as a wake-up call
 * that must not come before the rows it is about; a process that dies in between loses the hint.
 */
export async function afterCommit(transaction: Transaction<Tables>, hook: () => void): Promise<void> {
  await transaction.getExecutor().provideConnection(async (connection) => {
    const hooks = commitHooks.get(connection);
    if (hooks === undefined) throw new Error("afterCommit needs a transaction of a database opened by openDatabase");
    hooks.push(hook);
  });
}

class CommitDialect extends PostgresDialect {
  readonly #pool: PostgresPool;
  constructor(config: { readonly pool: PostgresPool }) {
    super(config);
    this.#pool = config.pool;
  }
  override createDriver(): PostgresDriver {
    return new CommitDriver({ pool: this.#pool });
  }
}

class CommitDriver extends PostgresDriver {
  override async beginTransaction(...parameters: Parameters<PostgresDriver["beginTransaction"]>): Promise<void> {
    await super.beginTransaction(...parameters);
    commitHooks.set(parameters[0], []);
  }
  override async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const hooks = commitHooks.get(connection) ?? [];
    commitHooks.delete(connection);
    await super.commitTransaction(connection);
    for (const hook of hooks) hook();
  }
  override async rollbackTransaction(...parameters: Parameters<PostgresDriver["rollbackTransaction"]>): Promise<void> {
    commitHooks.delete(parameters[0]);
    await super.rollbackTransaction(...parameters);
  }
}

/** Host and port, or the socket's directory: all of an address that may be shown. */
export function describeAddress(url: string): string {
  try {
    // Never connected: the driver itself says how it reads the address.
    const { host, port } = new Client({ connectionString: url });
    return host.startsWith("/") ? host : `${host}:${port}`;
  } catch {
    return "the address in DATABASE_URL";
  }
}

const reasons: Record<string, string> = {
  ECONNREFUSED: "the connection was refused",
  ERR_INVALID_URL: "it is not a Postgres address",
  ENOTFOUND: "no such host is known",
  EAI_AGAIN: "its name could not be looked up",
  ETIMEDOUT: "it took too long",
  ENOENT: "there is no such socket",
  EACCES: "the socket may not be opened",
  "28P01": "it refuses the user name or the password",
  "28000": "it refuses this user",
  "3D000": "it has no database of this name",
  "53300": "it has no connection left",
  "57P03": "it is still starting",
};

/** The one sentence for a database that cannot be used. */
export function unreachable(url: string, error: unknown): StartupError {
  const code = errorCode(error);
  const timedOut = error instanceof Error && /timeout/i.test(error.message);
  const reason =
    (code === undefined ? undefined : reasons[code]) ??
    (timedOut ? "it took too long" : (code ?? "it is not a Postgres address"));
  return new StartupError(`The database at ${describeAddress(url)} does not answer: ${reason}; check DATABASE_URL.`);
}

function errorCode(error: unknown): string | undefined {
  // A host with several addresses fails with one error for each.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return first instanceof Error && "code" in first && typeof first.code === "string" ? first.code : undefined;
}
