/**
 * Commands in the background: begun like any other, then left to run under a lease. Nothing waits for them; whoever
 * started one ends its lease when it ends, and any worker's periodic work does when that one has died.
 *
 * | the worker dies             | what is left behind                                                       |
 * |-----------------------------|---------------------------------------------------------------------------|
 * | after the lease is written  | a lease without a command: it runs out. The same start again begins it    |
 * | after the command was sent  | the command and its lease. The same start again joins both                |
 * @module
 */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { SandboxProcess } from "@exoloop/sandbox/session";
import type { CommandRunnerDependencies } from "../command-runner.ts";
import { endLease, leaseLimits, openLease } from "../life/leases.ts";
import type { HeldSandbox } from "../held-sandbox.ts";
import { describeNotices } from "../notices.ts";
import { beginCommand } from "../use/begin-command.ts";
import { takeLoss, traceOf } from "../use/intent.ts";
import { saveFiles } from "../use/save-files.ts";
import { settleCommand } from "../use/settle.ts";
import type { SandboxOwner } from "../workspace.ts";
import type { Turn } from "../workspaces.ts";

export interface BackgroundRequest {
  readonly commandId: string;
  readonly command: string;
  /** How long it may keep the sandbox awake: 1 to 21,600, 600 unless given. */
  readonly seconds?: number;
  /** An earlier driver may have started it. */
  readonly reattach: boolean;
}

export type BackgroundOutcome = {
  readonly notices: readonly string[];
  readonly awakeMs: number;
} & ({ readonly type: "started"; readonly until: Date } | { readonly type: "unknown"; readonly reason: string });

const mostAttempts = 5;

/** Resolves when the command has begun. */
export async function startBackground(
  dependencies: CommandRunnerDependencies,
  owner: SandboxOwner,
  request: BackgroundRequest,
): Promise<BackgroundOutcome> {
  return dependencies.workspaces.use(owner, { mayChange: true, remembered: true }, async (turn) => {
    const trace = request.reattach ? await traceOf(dependencies, await turn.renew(), request.commandId) : "nowhere";
    if (trace === "elsewhere") return tellLost(dependencies, turn.held, request);
    for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
      try {
        const started = await startIn(dependencies, turn, request);
        if (started !== null) return started;
        await turn.renew();
      } catch (error) {
        if (!(error instanceof SandboxGoneError)) throw error;
        await turn.renew();
        return tellLost(dependencies, turn.held, request);
      }
    }
    return tellLost(dependencies, turn.held, request);
  });
}

/** Null: it was not begun, and may be elsewhere. */
async function startIn(
  dependencies: CommandRunnerDependencies,
  turn: Turn,
  { commandId, command, seconds = leaseLimits.standard, reattach }: BackgroundRequest,
): Promise<BackgroundOutcome | null> {
  const { held } = turn;
  const until = await openLease(dependencies, held, { commandId, command, seconds });
  let begun: Awaited<ReturnType<typeof beginCommand>>;
  try {
    begun = await beginCommand(dependencies, held, { commandId, command, reattach, fresh: turn.fresh });
  } catch (error) {
    await settleCommand(dependencies, held, { commandId, toldToModel: true }, null);
    await endLease(dependencies, held, commandId, "command_ended");
    throw error;
  }
  if (begun.type === "not_begun") return null;
  const { awakeMs } = await settleCommand(dependencies, held, { commandId, toldToModel: true }, begun.resumeMs);
  turn.leased = true;
  follow(dependencies, held, begun.process);
  return { type: "started", until, notices: describeNotices(begun.notices, false), awakeMs };
}

/** Its end is noticed at once while this worker lives; what it has changed is captured then. */
function follow(dependencies: CommandRunnerDependencies, held: HeldSandbox, process: SandboxProcess): void {
  const { log, workspaces } = dependencies;
  process
    .wait()
    .then(async () => {
      await endLease(dependencies, held, process.commandId, "command_ended");
      await saveFiles(dependencies, held.owner);
      await workspaces.capture(held.owner);
    })
    .catch((error: unknown) => {
      log.debug(
        { session: held.owner.sessionId, command: process.commandId, error },
        "background command not followed",
      );
    });
}

async function tellLost(
  dependencies: CommandRunnerDependencies,
  held: HeldSandbox,
  { commandId }: BackgroundRequest,
): Promise<BackgroundOutcome> {
  const { notices, awakeMs } = await takeLoss(dependencies, held, { commandId, toldToModel: true });
  const reason = "the sandbox was lost when this command was started";
  return { type: "unknown", reason, notices: describeNotices(notices, true), awakeMs };
}
