/**
 * The embedded Postgres: real Postgres programs under a supervisor that any number of processes may call at once. The
 * server is shared, detached and survives its callers; it listens on the loopback address only, behind a random
 * password.
 *
 * | what dies                  | what the next start does                                             |
 * |----------------------------|----------------------------------------------------------------------|
 * | the caller                 | finds the server running and uses it                                 |
 * | the caller, inside initdb  | takes the dead holder's lock and initialises anew                    |
 * | the postmaster             | waits until its children have let go of the shared memory, starts it |
 * | the machine                | starts it; Postgres recovers from its log                            |
 * | its program's file         | ends the server, which finds no extension any more, and starts it    |
 * @module
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StartupError } from "../../errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { type Account, databaseAccount, firstBarrier } from "./account.ts";
import { type Binaries, findBinaries } from "./binaries.ts";
import { answers, type Connection, connectionUrl, readConnection, writeConnection } from "./connection-file.ts";
import { ensureData, readPassword, syncData } from "./data-directory.ts";
import {
  findPostmaster,
  freePort,
  isPortFree,
  judgeFailure,
  removeStalePostmasterFile,
  shutDown,
  startPostmaster,
} from "./postmaster.ts";
import { hasLostProgram, type ProcessIdentity } from "./process-identity.ts";
import { tryStartLock } from "./start-lock.ts";

export interface EmbeddedPostgresOptions {
  /** Belongs to the server alone; made when missing. Where this process is root, `nobody` must be able to enter it. */
  readonly directory: string;
  readonly log: Logger;
}

export interface EmbeddedPostgres {
  readonly url: string;
  readonly how: "reused" | "started" | "initialised";
  /** How long it took until a query was answered. */
  readonly milliseconds: number;
  /** Of the postmaster. */
  readonly pid: number;
}

/** Long enough for recovery of a large log; a server that only waits for shared memory is up within seconds. */
const patienceMilliseconds = 60_000;

/**
 * Finds the server of this directory, or starts it.
 * @throws StartupError with one sentence that names the remedy.
 * @example const { url } = await startEmbeddedPostgres({ directory: "/var/lib/exoloop/postgres", log })
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const startedAt = performance.now();
  const directory = resolve(options.directory);
  const finish = (connection: Connection, how: EmbeddedPostgres["how"]): EmbeddedPostgres => {
    const milliseconds = Math.round(performance.now() - startedAt);
    options.log.debug({ how, milliseconds, pid: connection.server.pid }, "embedded Postgres answers");
    return { url: connection.url, how, milliseconds, pid: connection.server.pid };
  };
  const account = databaseAccount();
  prepareDirectory(directory, account);
  for (;;) {
    const running = await findRunning(directory);
    if (running !== null) return finish(running, "reused");
    const lock = tryStartLock(join(directory, "start.lock"));
    if (lock !== null) {
      try {
        const another = await findRunning(directory);
        if (another !== null) return finish(another, "reused");
        const { connection, how } = await start(directory, account);
        return finish(connection, how);
      } finally {
        lock.release();
      }
    }
    if (performance.now() - startedAt > patienceMilliseconds * 2) {
      throw new StartupError(
        `Another process has been starting the embedded Postgres in ${directory} for too long: end it, or set DATABASE_URL.`,
      );
    }
    await sleep(20);
  }
}

async function findRunning(directory: string): Promise<Connection | null> {
  const connection = readConnection(directory);
  if (connection === null || hasLostProgram(connection.server.pid)) return null;
  return (await answers(connection)) ? connection : null;
}

function prepareDirectory(directory: string, account: Account): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    // An umask of 077 would shut the account out.
    if (account !== null) chmodSync(directory, 0o711);
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new StartupError(
      `The directory ${directory} cannot be made (${reason}): point EXOLOOP_HOME to one that can, or set DATABASE_URL.`,
    );
  }
  const barrier = firstBarrier(directory, account);
  if (barrier !== null) {
    throw new StartupError(
      `The embedded Postgres runs as \`nobody\`, who may not enter ${barrier}: point EXOLOOP_HOME to another place such as /var/lib/exoloop, or set DATABASE_URL.`,
    );
  }
}

/** Under the start lock. */
async function start(
  directory: string,
  account: Account,
): Promise<{ connection: Connection; how: "started" | "initialised" }> {
  removeLeftovers(directory);
  const binaries = findBinaries(directory, account);
  const data = join(directory, `data-${binaries.major}`);
  const found = findPostmaster(data);
  if (found !== null && hasLostProgram(found.server.pid)) await end(found.server);
  const initialised = await ensureData(data, binaries, account);
  const connection = await bringUp(directory, data, binaries, account);
  if (initialised) syncData(data, binaries, account);
  return { connection, how: initialised ? "initialised" : "started" };
}

/** The port that it had: clients that are still there then find it again. */
async function preferredPort(directory: string): Promise<number> {
  const last = readConnection(directory);
  const port = last === null ? 0 : Number(new URL(last.url).port);
  return port > 0 && (await isPortFree(port)) ? port : freePort();
}

async function bringUp(directory: string, data: string, binaries: Binaries, account: Account): Promise<Connection> {
  const password = readPassword(data);
  const log = join(directory, "postgres.log");
  let port = await preferredPort(directory);
  for (const deadline = Date.now() + patienceMilliseconds; Date.now() < deadline; await sleep(50)) {
    // One may be running whose starter died before it had written the connection down.
    let found = findPostmaster(data);
    if (found === null) {
      removeStalePostmasterFile(data);
      const outcome = await startPostmaster(binaries, { data, log }, account, port);
      if ("failed" in outcome) {
        const error = judgeFailure(outcome.failed, data);
        if (error !== null) throw error;
        port = await freePort();
        continue;
      }
      found = outcome.ready;
    }
    if (!found.ready) continue;
    const connection = { url: connectionUrl(password, found.port), server: found.server };
    writeConnection(directory, connection);
    if (await answers(connection)) return connection;
  }
  throw new StartupError(
    `The embedded Postgres in ${directory} did not become ready within a minute: read its log there, or set DATABASE_URL.`,
  );
}

/** What a caller that died while initialising has left behind. */
function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (/\.new-[0-9a-f-]{36}(\.password)?$/.test(name)) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/**
 * Shuts the server of this directory down, if it runs: connections are ended, nothing committed is lost.
 * @throws StartupError when it is still running after 30 seconds.
 */
export async function stopEmbeddedPostgres(options: { readonly directory: string }): Promise<{ stopped: boolean }> {
  const directory = resolve(options.directory);
  if (!existsSync(directory)) return { stopped: false };
  for (const name of readdirSync(directory)) {
    if (!/^data-\d+$/.test(name)) continue;
    const found = findPostmaster(join(directory, name));
    if (found === null) continue;
    await end(found.server);
    return { stopped: true };
  }
  return { stopped: false };
}

async function end(server: ProcessIdentity): Promise<void> {
  if (await shutDown(server, 30_000)) return;
  throw new StartupError(
    `The embedded Postgres (process ${server.pid}) does not stop: end it with \`kill -QUIT ${server.pid}\`.`,
  );
}
