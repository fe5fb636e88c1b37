/**
 * Keeps the sandbox host running as long as its launcher lives: killed at any moment, it is started again, and finds the
 * sandboxes and commands that went on without it. One launcher has a home, so one keeper has a host, however many
 * servers use it.
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { isRunning, type ProcessIdentity, processStart } from "./db/embedded/process-identity.ts";
import type { Logger } from "./telemetry/logger.ts";

export interface HostProcess {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface KeptHost<Host extends HostProcess> {
  /** As it was at the first start: what does not change with its process. */
  readonly first: Host;
  /** Ends the keeping, then the host and its sandboxes. */
  stop(): Promise<void>;
}

export interface KeeperPatience {
  readonly lookMs: number;
  /** Before the first restart; it doubles with each that follows, up to `longestPauseMs`. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** Restarts in a row. One that has run for `healthyMs` ends the row. */
  readonly restarts: number;
  readonly healthyMs: number;
}

/** Ten restarts take about three quarters of a minute. */
const standardPatience: KeeperPatience = {
  lookMs: 250,
  firstPauseMs: 100,
  longestPauseMs: 10_000,
  restarts: 10,
  healthyMs: 30_000,
};

export interface KeeperParts<Host extends HostProcess> {
  readonly start: () => Promise<Host>;
  readonly log: Logger;
  readonly patience?: KeeperPatience;
}

/** @throws whatever the first start throws; later ones are tried again, so many times. */
export async function keepSandboxHost<Host extends HostProcess>(parts: KeeperParts<Host>): Promise<KeptHost<Host>> {
  const first = await parts.start();
  const stopping = new AbortController();
  const keeping = keep(parts, first, stopping.signal);
  return {
    first,
    async stop() {
      stopping.abort();
      const last = await keeping;
      // Sandboxes outlive a host that has died: whoever runs, or comes up in its place, ends them.
      await (await parts.start().catch(() => last)).stop();
    },
  };
}

/** Resolves when it is told to stop, with the last host that was started. */
async function keep<Host extends HostProcess>(
  { start, log, patience = standardPatience }: KeeperParts<Host>,
  first: Host,
  signal: AbortSignal,
): Promise<Host> {
  let host = first;
  let identity = identityOf(host);
  let startedAt = performance.now();
  let restarts = 0;
  let fault: unknown = null;
  while (await sleeps(patience.lookMs, signal)) {
    if (isRunning(identity)) continue;
    if (fault === null && performance.now() - startedAt > patience.healthyMs) restarts = 0;
    if (restarts >= patience.restarts) {
      const error = fault ?? new Error("it ended again and again, see host.log in its directory");
      log.error({ error, restarts }, "the sandbox host is not started again: mend its fault, then restart exoloop");
      break;
    }
    const pauseMs = Math.min(patience.longestPauseMs, patience.firstPauseMs * 2 ** restarts);
    restarts += 1;
    if (fault === null)
      log.error({ pid: host.pid, pauseMs }, "the sandbox host ended unexpectedly and is started again");
    if (!(await sleeps(pauseMs, signal))) break;
    try {
      host = await start();
      identity = identityOf(host);
      startedAt = performance.now();
      fault = null;
      log.info({ pid: host.pid, restarts }, "the sandbox host runs again");
    } catch (error) {
      fault = error;
      log.warn({ error, restarts }, "the sandbox host could not be started again");
    }
  }
  return host;
}

function identityOf({ pid }: HostProcess): ProcessIdentity {
  return { pid, start: processStart(pid) ?? "gone" };
}

/** False: it is time to stop. */
async function sleeps(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  await pause(milliseconds, undefined, { signal, ref: false }).catch(() => null);
  return !signal.aborted;
}
