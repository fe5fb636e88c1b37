/**
 * One command starts everything: the embedded Postgres, the sandbox host, and the server. The launcher keeps what
 * privileges it has; the server, which reads hostile input, runs as a user of its own where the launcher is root.
 * @module
 */
import { type ChildProcess, fork } from "node:child_process";
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import { type Config, readConfig } from "./config.ts";
import { startEmbeddedPostgres } from "./db/embedded/supervisor.ts";
import { StartupError } from "./errors.ts";
import type { ServerMessage, ServerReady, ServerStart } from "./server-process.ts";
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
  readonly log?: Logger;
}

export interface RunningExoloop {
  readonly url: string;
  readonly home: string;
  /** Printed once, when the first organization was created. */
  readonly firstAdminKey: string | null;
  /** The model of agents that name none, and of the demo. */
  readonly model: string;
  readonly sandbox: { readonly provider: string; readonly directory: string } | null;
  /** Milliseconds of each step of the start. */
  readonly timings: Readonly<Record<string, number>>;
  /** Process id of the server. */
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
  const environment = {
    ...options.environment,
    ...(options.home === undefined ? {} : { EXOLOOP_HOME: options.home }),
    ...(options.port === undefined ? {} : { EXOLOOP_PORT: String(options.port) }),
    ...(options.host === undefined ? {} : { EXOLOOP_HOST: options.host }),
    ...(options.sandbox === undefined ? {} : { EXOLOOP_SANDBOX: options.sandbox }),
  };
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
  const [databaseUrl, host] = await Promise.all([
    timed("postgres", ensureDatabase(config, log)),
    timed("sandboxHost", ensureSandboxHost(config, userId)),
  ]);
  const start: ServerStart = { type: "start", databaseUrl, sandboxSocket: host?.socketPath ?? null };
  const server = await timed("server", startServer(start, environment, userId)).catch(async (error: unknown) => {
    await host?.stop();
    throw error;
  });
  return {
    ...server.ready,
    home: config.home,
    sandbox: host === null ? null : { provider: "local", directory: join(config.home, "sandbox-host") },
    timings,
    serverPid: server.child.pid ?? 0,
    importSkill: (name, files) => request(server.child, { type: "import-skill", name, files }),
    async stop() {
      await stopServer(server.child);
      await host?.stop();
    },
  };
}

/** Everyone may traverse the home, so that Postgres and sandboxes reach their own directories; no one may list it. */
async function prepareHome(config: Config, userId: number | undefined): Promise<void> {
  const blobs = join(config.home, "blobs");
  await mkdir(blobs, { recursive: true, mode: 0o711 });
  await chmod(config.home, 0o711);
  await chmod(blobs, 0o700);
  if (userId !== undefined) await chown(blobs, userId, userId);
}

async function ensureDatabase(config: Config, log: Logger): Promise<string> {
  if (config.databaseUrl !== null) return config.databaseUrl.reveal();
  const { url } = await startEmbeddedPostgres({ directory: join(config.home, "postgres"), log });
  return url;
}

async function ensureSandboxHost(config: Config, userId: number | undefined) {
  if (config.sandbox === "none") return null;
  const directory = join(config.home, "sandbox-host");
  return startSandboxHost({ directory, mode: config.sandbox, ...(userId === undefined ? {} : { ownerUid: userId }) });
}

interface StartedServer {
  readonly child: ChildProcess;
  readonly ready: ServerReady["value"];
}

const serverEntry = fileURLToPath(new URL("server-process.ts", import.meta.url));

async function startServer(
  start: ServerStart,
  environment: NodeJS.ProcessEnv,
  userId: number | undefined,
): Promise<StartedServer> {
  const child = fork(serverEntry, {
    cwd: "/",
    env: environment,
    serialization: "advanced",
    // Its own group: an interrupt typed at the terminal reaches the launcher, which then stops the server in order.
    detached: true,
    ...(userId === undefined ? {} : { uid: userId, gid: userId }),
  });
  child.send(start);
  const ready = await new Promise<ServerReady["value"]>((resolve, reject) => {
    child.once("exit", (code) => reject(new StartupError(`The server ended while it started (exit ${code}).`)));
    child.once("error", reject);
    child.once("message", (message: ServerMessage) => {
      if (message.type === "ready") resolve(message.value);
      else if (message.type === "failed") reject(new StartupError(message.message));
    });
  });
  child.removeAllListeners("exit");
  return { child, ready };
}

async function request(child: ChildProcess, message: object): Promise<void> {
  const answer = new Promise<ServerMessage>((resolve) => child.once("message", resolve));
  child.send(message);
  const result = await answer;
  if (result.type === "failed") throw new Error(result.message);
}

const stopGraceMs = 15_000;

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
  await exited;
  clearTimeout(timer);
}
