/** How other processes find the running server: a file that only its owner may read. @module */
import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { isRunning, type ProcessIdentity } from "./process-identity.ts";

export interface Connection {
  readonly url: string;
  /** The postmaster. */
  readonly server: ProcessIdentity;
}

/** Name of the superuser and of the program in `pg_stat_activity`. */
export const databaseUser = "exoloop";

export function connectionUrl(password: string, port: number): string {
  return `postgres://${databaseUser}:${password}@127.0.0.1:${port}/postgres`;
}

export function writeConnection(directory: string, connection: Connection): void {
  const path = join(directory, "connection.json");
  const aside = `${path}.${randomUUID()}`;
  writeFileSync(aside, JSON.stringify(connection), { mode: 0o600, flag: "wx" });
  renameSync(aside, path);
}

/** Null when there is none, or when what is there is not one. */
export function readConnection(directory: string): Connection | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, "connection.json"), "utf8"));
    if (typeof value !== "object" || value === null || !("url" in value) || !("server" in value)) return null;
    const { url, server } = value;
    if (typeof url !== "string" || typeof server !== "object" || server === null) return null;
    if (!("pid" in server) || !("start" in server)) return null;
    if (typeof server.pid !== "number" || typeof server.start !== "string") return null;
    return { url, server: { pid: server.pid, start: server.start } };
  } catch {
    return null;
  }
}

/**
 * Whether the server answers a query. The address of a dead server is never tried: another program may have its port.
 * SCRAM proves both ways, so whoever answers knows our password.
 */
export async function answers(connection: Connection): Promise<boolean> {
  if (!isRunning(connection.server)) return false;
  const client = new Client({ connectionString: connection.url, connectionTimeoutMillis: 3000, query_timeout: 3000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
