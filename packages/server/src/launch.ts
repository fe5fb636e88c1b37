/**
 * One command starts everything: the embedded Postgres, the sandbox host, and the server. The launcher keeps what
 * privileges it has; the server, which reads hostile input, runs as a user of its own where the launcher is root.
 * @module
 */
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import { type Config, readConfig } from "./config.ts";
import { keepEmbeddedPostgres, type KeptPostgres } from "./db/embedded/keeper.ts";
import { type StartLock, tryStartLock } from "./db/embedded/start-lock.ts";
import { StartupError } from "./errors.ts";
import { keepSandboxHost } from "./sandbox-host-keeper.ts";
import { type ServerChild, superviseServer } from "./server-child.ts";
import type { ServerStart } from "./server-process.ts";
import { createLogger, type Logger } from "./telemetry/logger.ts";

/** No other process of the machine has this id; sandboxes have the ones above it. */
export const serverUserId = 1_879_099_999;

export interface LaunchOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** Replaces EXOLOOP_HOME. */
  readonly home?: string;
  /** Replaces EXOLOOP_PORT; 0 takes a free one. */
  readonly port?: number;
  readonly host?: string;
  readonly sandbox?: "auto" | "weak" | "none";
  /** The sandboxes and their host do not outlive this process, however it ends. */
  readonly fleeting?: boolean;
  readonly log?: Logger;
}

export interface RunningExoloop {
  readonly url: string;
  readonly home: string;
  /** Printed once, when the first organization was created. */
  readonly firstAdminKey: string | null;
  /** The model of agents that name none, and of the demo. */
  readonly model: string;
  /** `directory` holds one directory for each sandbox. */
  readonly sandbox: { readonly provider: string; readonly directory: string } | null;
  /** Milliseconds of each step of the start. */
  readonly timings: Readonly<Record<string, number>>;
  /** Process id of the server as it is now: a server that dies is started again. */
  readonly serverPid: number;
  /** Stores a skill in the first organization. */
  importSkill(name: string, files: Readonly<Record<string, string>>): Promise<void>;
  /** Ends turns at their next checkpoint, then the server and the sandbox host. Postgres stays for the next start. */
  stop(): Promise<void>;
}

/**
 * @throws StartupError or SandboxUnavailableError: one sentence that names the remedy.
 */
export async function startExoloop(options: LaunchOptions): Promise<RunningExoloop> {
  const environment = environmentOf(options);
  const config = readConfig(environment);
  const log = options.log ?? createLogger(config.logLevel);
  const timings: Record<string, number> = {};
  const timed = async <Result>(name: string, work: Promise<Result>): Promise<Result> => {
    const startedAt = performance.now();
    const result = await work;
    timings[name] = Math.round(performance.now() - startedAt);
    return result;
  };
  const userId = process.getuid?.() === 0 ? serverUserId : undefined;
  await prepareHome(config, userId);
  const home = takeHome(config.home);
  const opened: { stop(): Promise<unknown> }[] = [];
  let server: ServerChild | undefined;
  try {
    const keptDatabase = timed(
      "postgres",
      ensureDatabase(config, log, (url) => server?.moveDatabase(url)),
    );
    const keptHost = timed("sandboxHost", ensureSandboxHost(config, userId, log, options.fleeting === true));
    const start = Promise.all([keptDatabase, keptHost]).then(([{ url: databaseUrl }, kept]): ServerStart => {
      return { type: "start", databaseUrl, sandboxSocket: kept?.first.socketPath ?? null };
    });
    // Told, not derived: the server may be another user, whose default home is another one.
    const serverEnvironment = { ...environment, EXOLOOP_HOME: config.home };
    const serving = timed("server", superviseServer({ start, environment: serverEnvironment, userId, log }));
    // All are awaited, also when one fails: what the others have started must be stopped.
    const [host, database, child] = await Promise.allSettled([keptHost, keptDatabase, serving]);
    if (database.status === "fulfilled") opened.push(database.value);
    if (host.status === "fulfilled" && host.value !== null) opened.push(host.value);
    if (child.status === "fulfilled") opened.push(child.value);
    if (host.status === "rejected") throw host.reason;
    if (database.status === "rejected") throw database.reason;
    if (child.status === "rejected") throw child.reason;
    const running = child.value;
    server = running;
    return {
      ...running.ready,
      home: config.home,
      sandbox: host.value === null ? null : { provider: "local", directory: host.value.first.sandboxesDirectory },
      timings,
      get serverPid() {
        return running.pid;
      },
      importSkill: (name, files) => running.request({ type: "import-skill", name, files }),
      stop: () => stopAll(opened, home),
    };
  } catch (error) {
    await stopAll(opened, home);
    throw error;
  }
}

function environmentOf({ environment, home, port, host, sandbox }: LaunchOptions): NodeJS.ProcessEnv {
  return {
    ...environment,
    ...(home === undefined ? {} : { EXOLOOP_HOME: home }),
    ...(port === undefined ? {} : { EXOLOOP_PORT: String(port) }),
    ...(host === undefined ? {} : { EXOLOOP_HOST: host }),
    ...(sandbox === undefined ? {} : { EXOLOOP_SANDBOX: sandbox }),
  };
}

/** Last started, first stopped. */
async function stopAll(opened: readonly { stop(): Promise<unknown> }[], home: StartLock): Promise<void> {
  for (const part of opened.toReversed()) await part.stop();
  home.release();
}

/** Two launchers of one home would stop each other's sandboxes. */
function takeHome(home: string): StartLock {
  const lock = tryStartLock(join(home, "launcher.lock"));
  if (lock !== null) return lock;
  throw new StartupError(`Another exoloop runs in ${home}: stop it, or choose another home with EXOLOOP_HOME.`);
}

/** Everyone may traverse the home, so that Postgres and sandboxes reach their own directories; no one may list it. */
async function prepareHome(config: Config, userId: number | undefined): Promise<void> {
  const blobs = join(config.home, "blobs");
  try {
    await mkdir(blobs, { recursive: true, mode: 0o711 });
    await chmod(config.home, 0o711);
    await chmod(blobs, 0o700);
    if (userId !== undefined) await chown(blobs, userId, userId);
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new StartupError(
      `The home ${config.home} cannot be used (${reason}): point EXOLOOP_HOME to a directory that can.`,
    );
  }
}

/** A database of one's own is its operator's to keep. */
async function ensureDatabase(config: Config, log: Logger, onMoved: (url: string) => void): Promise<KeptPostgres> {
  if (config.databaseUrl !== null) return { url: config.databaseUrl.reveal(), stop: () => Promise.resolve() };
  return keepEmbeddedPostgres({ directory: join(config.home, "postgres"), log, onMoved });
}

async function ensureSandboxHost(config: Config, userId: number | undefined, log: Logger, endsWithParent: boolean) {
  if (config.sandbox === "none") return null;
  const owner = userId === undefined ? {} : { ownerUid: userId };
  const options = { directory: join(config.home, "sandbox-host"), mode: config.sandbox, endsWithParent, ...owner };
  return keepSandboxHost({ start: () => startSandboxHost(options), log });
}
