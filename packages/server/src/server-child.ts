/** The server's process, kept alive by its launcher: killed at any moment, it is started again on the same port. @module */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { StartupError } from "./errors.ts";
import type { LauncherMessage, ServerMessage, ServerReady, ServerStart } from "./server-process.ts";
import type { Logger } from "./telemetry/logger.ts";

export interface ServerChild {
  readonly ready: ServerReady["value"];
  /** Of the process that serves now. */
  readonly pid: number;
  /** Starts the server anew, on another database. */
  moveDatabase(url: string): void;
  /** @throws Error with the server's own message. */
  request(message: LauncherMessage): Promise<void>;
  stop(): Promise<void>;
}

export interface ServerChildOptions {
  /** Its code is loaded meanwhile. */
  readonly start: Promise<ServerStart>;
  readonly environment: NodeJS.ProcessEnv;
  /** The user and group that the server runs as; the launcher's own when absent. */
  readonly userId: number | undefined;
  readonly log: Logger;
}

const entry = fileURLToPath(new URL("server-process.ts", import.meta.url));
const stopGraceMs = 15_000;
const firstRestartDelayMs = 100;
const longestRestartDelayMs = 10_000;
/** A server that has run this long starts anew at once when it dies. */
const healthyMs = 30_000;

/**
 * @throws StartupError when the first start fails; later ones are tried again until `stop`.
 * @throws what `start` throws; nothing runs then.
 */
export async function superviseServer(options: ServerChildOptions): Promise<ServerChild> {
  const first = await startOnce(options);
  let { child } = first;
  let stopping = false;
  let delayMs = firstRestartDelayMs;
  let start = await options.start;
  const environment = { ...options.environment, EXOLOOP_PORT: new URL(first.ready.url).port };

  const watch = (startedAt: number): void => {
    child.once("exit", (code, signal) => {
      if (stopping) return;
      if (performance.now() - startedAt > healthyMs) delayMs = firstRestartDelayMs;
      options.log.error({ code, signal, delayMs }, "the server ended unexpectedly and is started again");
      setTimeout(() => void restart(), delayMs);
      delayMs = Math.min(longestRestartDelayMs, delayMs * 2);
    });
  };
  const restart = async (): Promise<void> => {
    if (stopping) return;
    try {
      child = (await startOnce({ ...options, start: Promise.resolve(start), environment })).child;
      if (stopping) await endProcess(child);
      else watch(performance.now());
    } catch (error) {
      options.log.error({ error }, "the server could not be started again");
      setTimeout(() => void restart(), delayMs);
      delayMs = Math.min(longestRestartDelayMs, delayMs * 2);
    }
  };
  watch(performance.now());
  return {
    ready: first.ready,
    get pid() {
      return child.pid ?? 0;
    },
    moveDatabase(databaseUrl) {
      start = { ...start, databaseUrl };
      child.kill("SIGKILL");
    },
    request: (message) => request(child, message),
    async stop() {
      stopping = true;
      await endProcess(child);
    },
  };
}

async function startOnce({ start, environment, userId }: ServerChildOptions) {
  const child = fork(entry, {
    cwd: "/",
    env: environment,
    serialization: "advanced",
    // Its own group: an interrupt typed at the terminal reaches the launcher, which then stops the server in order.
    detached: true,
    ...(userId === undefined ? {} : { uid: userId, gid: userId }),
  });
  const answering = new Promise<ServerReady["value"]>((resolve, reject) => {
    child.once("exit", (code) => reject(new StartupError(`The server ended while it started (exit ${code}).`)));
    child.once("error", reject);
    child.once("message", (message: ServerMessage) => {
      if (message.type === "ready") resolve(message.value);
      else if (message.type === "failed") reject(new StartupError(message.message));
    });
  });
  answering.catch(() => {});
  try {
    child.send(await start);
    const ready = await answering;
    child.removeAllListeners("exit");
    return { child, ready };
  } catch (error) {
    await endProcess(child);
    throw error;
  }
}

async function request(child: ChildProcess, message: LauncherMessage): Promise<void> {
  const answer = new Promise<ServerMessage>((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", () => reject(new Error("the server ended before it answered")));
  });
  child.send(message);
  const result = await answer;
  if (result.type === "failed") throw new Error(result.message);
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
  await exited;
  clearTimeout(timer);
}
