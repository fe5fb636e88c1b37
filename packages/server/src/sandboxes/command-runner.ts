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
 * @module
 */
import type { SandboxProcess } from "@exoloop/sandbox/contract";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { sql } from "kysely";
import type { CommandOutcome, CommandRunner } from "../tools/tool.ts";
import { collectOutput, type CollectedOutput } from "./collect-output.ts";
import { type Lease, type LeaseDependencies, publishStatus, type Replacement } from "./lease.ts";
import type { SandboxOwner, Workspace } from "./workspace.ts";
import { workspaceOf, type Workspaces } from "./workspaces.ts";

/** Files that live elsewhere and are seen inside the sandbox. */
export interface Projection {
  /** Brings the sandbox's copies up to date, before a command. */
  before(workspace: Workspace): Promise<void>;
  /** Saves what the command changed; the text tells the model what was saved, merged or refused. Null when nothing was. */
  after(workspace: Workspace, toolUseId: string): Promise<string | null>;
}

type CommandRequest = Parameters<CommandRunner["run"]>[0];

export interface CommandRunnerDependencies extends LeaseDependencies {
  readonly workspaces: Workspaces;
  readonly projection: Projection;
}

interface Attempt {
  readonly outcome: CommandOutcome;
  readonly lost: boolean;
  readonly generation: number;
}

export function createCommandRunner(dependencies: CommandRunnerDependencies, owner: SandboxOwner): CommandRunner {
  const { workspaces } = dependencies;
  return {
    async run(request) {
      const attempt = await workspaces.use(owner, { mayChange: true }, (lease, replacement) =>
        attemptCommand(dependencies, lease, replacement, request),
      );
      if (!attempt.lost) return attempt.outcome;
      const { notices } = attempt.outcome;
      // The next generation is made now, so that what survived can be told with this very result.
      return workspaces.use(owner, { mayChange: true }, async (lease, replacement) => {
        if (replacement === null && lease.generation === attempt.generation) {
          // Only the way to it was lost, and the command may still run: it is joined again.
          const again = await attemptCommand(dependencies, lease, null, { ...request, reattach: true });
          const awakeMs = attempt.outcome.awakeMs + again.outcome.awakeMs;
          return { ...again.outcome, awakeMs, notices: [...notices, ...again.outcome.notices] };
        }
        await dependencies.projection.before(workspaceOf(lease));
        const notice = replacedNotice(
          replacement ?? { generation: lease.generation, snapshotAt: null },
          request.command,
        );
        return { ...attempt.outcome, notices: [...notices, notice] };
      });
    },
  };
}

async function attemptCommand(
  dependencies: CommandRunnerDependencies,
  lease: Lease,
  replacement: Replacement | null,
  request: CommandRequest,
): Promise<Attempt> {
  const notices = replacement === null ? [] : [replacedNotice(replacement, null)];
  const outcome = (output: CollectedOutput, exit: CommandOutcome["exit"], awakeMs = 0, sync: string | null = null) => ({
    output: output.text,
    truncated: output.truncated,
    exit,
    notices: sync === null ? notices : [...notices, sync],
    awakeMs,
  });
  const { generation } = lease;
  const nothing: CollectedOutput = { text: "", truncated: false };
  let collected = nothing;
  try {
    if (request.reattach && (await ranElsewhere(dependencies, lease, request.commandId))) {
      const reason = "no trace of this command was found";
      return { outcome: outcome(nothing, { type: "unknown", reason }), lost: false, generation };
    }
    const process = await joinOrStart(dependencies, lease, request);
    const abort = () => void process.kill().catch(() => undefined);
    request.abortSignal.addEventListener("abort", abort);
    if (request.abortSignal.aborted) abort();
    try {
      collected = await collectOutput(process.output);
      const exit = await process.wait();
      const { current, awakeMs } = await suspendAfter(dependencies, lease, request.commandId);
      const sync = current ? await dependencies.projection.after(workspaceOf(lease), request.commandId) : null;
      const final = request.abortSignal.aborted ? ({ type: "interrupted" } as const) : exit;
      return { outcome: outcome(collected, final, awakeMs, sync), lost: false, generation };
    } finally {
      request.abortSignal.removeEventListener("abort", abort);
    }
  } catch (error) {
    if (!(error instanceof SandboxGoneError)) throw error;
    publishStatus(dependencies, lease.owner, "gone", lease.generation, 0);
    const reason = "the sandbox was lost while this command ran";
    return { outcome: outcome(collected, { type: "unknown", reason }, takeAwakeMs(lease)), lost: true, generation };
  }
}

/** Whether this command may have been sent to a sandbox that is gone. */
async function ranElsewhere(
  { database }: CommandRunnerDependencies,
  { owner, generation }: Lease,
  commandId: string,
): Promise<boolean> {
  const row = await database
    .selectFrom("sandboxes")
    .select("command_attempts")
    .where("session_id", "=", owner.sessionId)
    .executeTakeFirst();
  const attempts = (row?.command_attempts ?? []).filter((attempt) => attempt.startsWith(`${commandId}@`));
  return attempts.some((attempt) => attempt !== attemptOf(commandId, generation));
}

/**
 * A command that an earlier driver may have started is joined where the sandbox knows it. Where it does not, the worker
 * died before the command was sent; and a sandbox joins a second start under one identifier to the first.
 */
async function joinOrStart(
  dependencies: CommandRunnerDependencies,
  lease: Lease,
  request: CommandRequest,
): Promise<SandboxProcess> {
  if (request.reattach) {
    await wake(dependencies, lease, request.commandId);
    const joined = await lease.sandbox.session.attachCommand({ commandId: request.commandId, byteOffset: 0 });
    if (joined !== null) return joined;
  }
  await dependencies.projection.before(workspaceOf(lease));
  await wake(dependencies, lease, request.commandId);
  return lease.sandbox.session.spawn({
    command: request.command,
    commandId: request.commandId,
    workingDirectory: "/workspace",
    timeoutMs: request.timeoutMs,
  });
}

function attemptOf(commandId: string, generation: number): string {
  return `${commandId}@${generation}`;
}

/** The intent is written before the command is sent. */
async function wake(dependencies: CommandRunnerDependencies, lease: Lease, commandId: string): Promise<void> {
  const { sandbox, owner, generation } = lease;
  publishStatus(dependencies, owner, "waking", generation, 0);
  const { milliseconds } = await sandbox.resume();
  publishStatus(dependencies, owner, "awake", generation, milliseconds);
  // The second time for a command that was looked for and not found: awake since the first.
  if (!awakeSince.has(lease)) awakeSince.set(lease, performance.now());
  await sql`
    update sandboxes set state = 'awake', commands = commands + 1, updated_at = now(),
      command_attempts = (array_append(command_attempts, ${attemptOf(commandId, generation)}::text))[greatest(1, cardinality(command_attempts) - 98):],
      resume_milliseconds = (array_append(resume_milliseconds, ${milliseconds}::float8))[greatest(1, cardinality(resume_milliseconds) - 998):]
    where session_id = ${owner.sessionId}`.execute(dependencies.database);
}

/** When the lease's sandbox was thawed, on the clock of `performance.now()`. */
const awakeSince = new WeakMap<Lease, number>();

/** Whole milliseconds; counted once. */
function takeAwakeMs(lease: Lease): number {
  const since = awakeSince.get(lease);
  awakeSince.delete(lease);
  return since === undefined ? 0 : Math.round(performance.now() - since);
}

/**
 * Not current when another driver has started another command since: its sandbox must not be stopped under it, and what lies
 * there is its own to capture.
 */
async function suspendAfter(
  dependencies: CommandRunnerDependencies,
  lease: Lease,
  commandId: string,
): Promise<{ readonly current: boolean; readonly awakeMs: number }> {
  const awakeMs = takeAwakeMs(lease);
  const { numAffectedRows } = await sql`
    update sandboxes set state = 'suspended', awake_milliseconds = awake_milliseconds + ${awakeMs}, updated_at = now()
    where session_id = ${lease.owner.sessionId}
      and command_attempts[cardinality(command_attempts)] = ${attemptOf(commandId, lease.generation)}`.execute(
    dependencies.database,
  );
  if (numAffectedRows === 0n) return { current: false, awakeMs };
  const { milliseconds } = await lease.sandbox.suspend();
  publishStatus(dependencies, lease.owner, "suspended", lease.generation, milliseconds);
  return { current: true, awakeMs };
}

/** Exported for its test. */
export function replacedNotice(replacement: Replacement, lostCommand: string | null): string {
  const restored =
    replacement.snapshotAt === null
      ? "No snapshot existed, so /workspace is empty."
      : `/workspace was restored from the snapshot taken at ${replacement.snapshotAt.toISOString()}.`;
  const command =
    lostCommand === null
      ? "No command was running."
      : "The command of this call was running: it may have run in part, its effects after the snapshot are lost, and it was not run again.";
  return [
    "<sandbox_replaced>",
    `The sandbox was lost; generation ${replacement.generation} has taken its place.`,
    restored,
    command,
    "Background processes and files outside /workspace, /skills and /memory are gone. /skills and /memory are current.",
    "</sandbox_replaced>",
  ].join("\n");
}
