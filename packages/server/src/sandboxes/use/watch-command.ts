/**
 * Watches over a command that runs: says that somebody follows it, thaws a sandbox that a worker suspended which had
 * stood still, and gives up a sandbox that does not tell the command's end.
 * @module
 */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { HeldSandbox, SandboxDependencies } from "../held-sandbox.ts";
import { signLife } from "./intent.ts";

/** Milliseconds. */
export interface WatchIntervals {
  readonly beatMs: number;
  /** The sandbox ends a command at its time limit; this much later its end must have been told. */
  readonly overdueMs: number;
}

const standardIntervals: WatchIntervals = { beatMs: 15_000, overdueMs: 20_000 };

export interface CommandWatch {
  /** `work`, or SandboxGoneError when the command's end is overdue: the sandbox has been destroyed. */
  until<Result>(work: Promise<Result>): Promise<Result>;
  /** Resolves when it does nothing more. */
  stop(): Promise<void>;
}

export function watchCommand(
  { database, log }: Pick<SandboxDependencies, "database" | "log">,
  held: HeldSandbox,
  { commandId, timeoutMs }: { readonly commandId: string; readonly timeoutMs: number },
  { beatMs, overdueMs }: WatchIntervals = standardIntervals,
): CommandWatch {
  const { sandbox } = held;
  const { id } = sandbox.reference;
  let stopped = false;
  let beat = Promise.resolve();
  const look = async () => {
    if (!(await signLife(database, held, commandId))) return;
    const { state } = await sandbox.status();
    if (state === "suspended" && !stopped) await sandbox.resume();
  };
  const timer = setInterval(() => {
    beat = beat
      .then(look)
      .catch((error: unknown) => log.debug({ sandbox: id, error }, "running command not looked at"));
  }, beatMs);
  const overdue = Promise.withResolvers<never>();
  overdue.promise.catch(() => undefined);
  const limit = setTimeout(() => {
    log.warn({ sandbox: id, command: commandId }, "a command's end is overdue: its sandbox is destroyed");
    sandbox.destroy().catch((error: unknown) => log.warn({ sandbox: id, error }, "sandbox not destroyed"));
    overdue.reject(new SandboxGoneError(id, "it did not tell a command's end"));
  }, timeoutMs + overdueMs);
  return {
    until: (work) => Promise.race([work, overdue.promise]),
    async stop() {
      stopped = true;
      clearInterval(timer);
      clearTimeout(limit);
      await beat;
    },
  };
}
