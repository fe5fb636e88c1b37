/**
 * One command of a session: project, wake, run, suspend, capture, snapshot. A lost sandbox is replaced and the model is
 * told what survived; a command is never run a second time.
 *
 * | the worker dies                  | what the next one does with the command                                 |
 * |----------------------------------|-------------------------------------------------------------------------|
 * | before it was sent               | the sandbox never saw it, nor did an earlier generation: it is run      |
 * | while it runs, or after it ended | it is joined, and its output taken from the first byte; then captured   |
 * | in any of these, and the sandbox | it is told as unknown                                                   |
 * | not at all: it only stood still  | the command is not the session's last one any more: it is left alone    |
 *
 * A sandbox that is lost before the command certainly reached it is replaced, and the command runs in its successor.
 * @module
 */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { CommandOutcome, CommandRunner } from "../tools/tool.ts";
import { collectOutput, type CollectedOutput } from "./collect-output.ts";
import { type HeldSandbox, type SandboxDependencies, publishStatus, workspaceOf } from "./held-sandbox.ts";
import { describeNotices, type StoredNotice } from "./notices.ts";
import { beginCommand, type Begun, type CommandRequest, type Projection } from "./use/begin-command.ts";
import { type CommandIntent, signLife, takeLoss, traceOf } from "./use/intent.ts";
import { settleCommand } from "./use/settle.ts";
import { describeSurvivors } from "./use/survivors.ts";
import { watchCommand } from "./use/watch-command.ts";
import type { SandboxOwner } from "./workspace.ts";
import type { Turn, Workspaces } from "./workspaces.ts";

export type { Projection } from "./use/begin-command.ts";

export interface CommandRunnerDependencies extends SandboxDependencies {
  readonly workspaces: Workspaces;
  readonly projection: Projection;
}

type Attempt =
  | { readonly type: "ended"; readonly outcome: CommandOutcome }
  /** Nothing was done: the sandbox is another one by now, or was lost before the command reached it. */
  | { readonly type: "not_begun" }
  /** The way to the sandbox is lost, or the sandbox, or the session has another one. */
  | { readonly type: "lost"; readonly reason: string };

type Started = Extract<Begun, { type: "started" }>;

const mostAttempts = 5;

export function createCommandRunner(dependencies: CommandRunnerDependencies, owner: SandboxOwner): CommandRunner {
  return {
    run: (request) =>
      dependencies.workspaces.use(owner, { mayChange: true, remembered: true }, (turn) =>
        runInTurn(dependencies, turn, request),
      ),
  };
}

async function runInTurn(
  dependencies: CommandRunnerDependencies,
  turn: Turn,
  request: CommandRequest,
): Promise<CommandOutcome> {
  let { reattach } = request;
  if (reattach) {
    // What is remembered here may be older than what another worker has done with this very command.
    const trace = await traceOf(dependencies, await turn.renew(), request.commandId);
    if (trace === "elsewhere") return tellLost(dependencies, turn.held, request, "no trace of this command was found");
    reattach = trace === "here";
  }
  for (let attempts = 0; attempts < mostAttempts; attempts += 1) {
    const { generation } = turn.held;
    const attempt = await attemptCommand(dependencies, turn, { ...request, reattach });
    if (attempt.type === "ended") return attempt.outcome;
    const held = await turn.renew();
    if (attempt.type === "not_begun") continue;
    if (held.generation !== generation) {
      await dependencies.projection.before(workspaceOf(held));
      return tellLost(dependencies, held, request, attempt.reason);
    }
    // Only the way to it was lost, and the command may still run: it is joined again.
    reattach = true;
  }
  return tellLost(dependencies, turn.held, request, "its sandbox was lost over and over");
}

async function attemptCommand(
  dependencies: CommandRunnerDependencies,
  turn: Turn,
  request: CommandRequest,
): Promise<Attempt> {
  const { held } = turn;
  try {
    const begun = await beginCommand(dependencies, held, { ...request, fresh: turn.fresh });
    if (begun.type === "not_begun") return begun;
    return await followCommand(dependencies, turn, request, begun);
  } catch (error) {
    if (!(error instanceof SandboxGoneError)) {
      await calm(dependencies, held, request);
      throw error;
    }
    publishStatus(dependencies, held.owner, "gone", held.generation, 0);
    // It was awake until now.
    await signLife(dependencies.database, held, request.commandId);
    return { type: "lost", reason: "the sandbox was lost while this command ran" };
  }
}

async function followCommand(
  dependencies: CommandRunnerDependencies,
  turn: Turn,
  request: CommandRequest,
  { process, notices, resumeMs }: Started,
): Promise<Attempt> {
  const { held } = turn;
  const abort = () => void process.kill().catch(() => undefined);
  request.abortSignal.addEventListener("abort", abort);
  if (request.abortSignal.aborted) abort();
  const watch = watchCommand(dependencies, held, request);
  try {
    const ended = collectOutput(process.output).then(async (output) => ({ output, exit: await process.wait() }));
    const { output, exit } = await watch.until(ended);
    await watch.stop();
    const final = request.abortSignal.aborted ? ({ type: "interrupted" } as const) : exit;
    return await endCommand(dependencies, turn, request, { output, exit: final, notices, resumeMs });
  } finally {
    await watch.stop();
    request.abortSignal.removeEventListener("abort", abort);
  }
}

interface CommandEnd {
  readonly output: CollectedOutput;
  readonly exit: CommandOutcome["exit"];
  readonly notices: readonly StoredNotice[];
  readonly resumeMs: number | null;
}

/**
 * Suspended and settled at once. A worker that stood still may find another command in the sandbox: what it has
 * suspended then is thawed again. A background command is thawed when what this one changed has been captured.
 */
async function endCommand(
  dependencies: CommandRunnerDependencies,
  turn: Turn,
  request: CommandRequest,
  { output, exit, notices, resumeMs }: CommandEnd,
): Promise<Attempt> {
  const { held } = turn;
  const { sandbox, owner, generation } = held;
  const asleep = sandbox.suspend();
  const [settled, suspended, processes] = await Promise.all([
    settleCommand(dependencies, held, intentOf(request), resumeMs),
    asleep,
    // Only now: what runs beside an awake workload ends when that is put to sleep.
    asleep.then(() => sandbox.session.listProcesses()),
  ]);
  if (settled.standing === "replaced")
    return { type: "lost", reason: "the sandbox was replaced while this command ran" };
  if (settled.standing === "overtaken" && settled.awake) await sandbox.resume();
  const told = [...describeNotices(notices, false)];
  if (settled.standing === "current") {
    publishStatus(dependencies, owner, "suspended", generation, suspended.milliseconds);
    turn.leased = settled.leased;
    try {
      const sync = await dependencies.projection.after(workspaceOf(held), request.commandId);
      if (sync !== null) told.push(sync);
    } finally {
      if (settled.leased) await sandbox.resume();
    }
    const survivors = describeSurvivors(processes, request.commandId);
    if (survivors !== null) told.push(survivors);
  }
  const { awakeMs } = settled;
  return { type: "ended", outcome: { output: output.text, truncated: output.truncated, exit, notices: told, awakeMs } };
}

/** After an error of ours the sandbox sleeps too. */
async function calm(
  dependencies: CommandRunnerDependencies,
  held: HeldSandbox,
  request: CommandRequest,
): Promise<void> {
  const [settled] = await Promise.allSettled([
    settleCommand(dependencies, held, intentOf(request), null),
    held.sandbox.suspend(),
  ]);
  if (settled.status === "rejected") return;
  const { standing, awake, leased } = settled.value;
  if (leased || (standing === "overtaken" && awake)) await held.sandbox.resume().catch(() => undefined);
}

async function tellLost(
  dependencies: CommandRunnerDependencies,
  held: HeldSandbox,
  request: CommandRequest,
  reason: string,
): Promise<CommandOutcome> {
  const { notices, awakeMs } = await takeLoss(dependencies, held, intentOf(request));
  const exit = { type: "unknown", reason } as const;
  return { output: "", truncated: false, exit, notices: describeNotices(notices, true), awakeMs };
}

function intentOf({ commandId, toldToModel }: CommandRequest): CommandIntent {
  return { commandId, toldToModel: toldToModel ?? true };
}
