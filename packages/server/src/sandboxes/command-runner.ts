/**
 * One command of a session: project, wake, run, suspend, capture, snapshot. A lost sandbox is replaced and the model is
 * told what survived; a command is never run a second time.
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
          return { ...again.outcome, notices: [...notices, ...again.outcome.notices] };
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
  const outcome = (output: CollectedOutput, exit: CommandOutcome["exit"], more: readonly string[] = []) => ({
    output: output.text,
    truncated: output.truncated,
    exit,
    notices: [...notices, ...more],
  });
  const { generation } = lease;
  const nothing: CollectedOutput = { text: "", truncated: false };
  let collected = nothing;
  try {
    if (!request.reattach) await dependencies.projection.before(workspaceOf(lease));
    const process = await startCommand(dependencies, lease, request);
    if (process === null) {
      return {
        outcome: outcome(nothing, { type: "unknown", reason: "no trace of this command was found" }),
        lost: false,
        generation,
      };
    }
    const abort = () => void process.kill().catch(() => undefined);
    request.abortSignal.addEventListener("abort", abort);
    if (request.abortSignal.aborted) abort();
    try {
      collected = await collectOutput(process.output);
      const exit = await process.wait();
      await suspendAfter(dependencies, lease);
      const sync = await dependencies.projection.after(workspaceOf(lease), request.commandId);
      const final = request.abortSignal.aborted ? ({ type: "interrupted" } as const) : exit;
      return { outcome: outcome(collected, final, sync === null ? [] : [sync]), lost: false, generation };
    } finally {
      request.abortSignal.removeEventListener("abort", abort);
    }
  } catch (error) {
    if (!(error instanceof SandboxGoneError)) throw error;
    publishStatus(dependencies, lease.owner, "gone", lease.generation, 0);
    const reason = "the sandbox was lost while this command ran";
    return { outcome: outcome(collected, { type: "unknown", reason }), lost: true, generation };
  }
}

async function startCommand(
  dependencies: CommandRunnerDependencies,
  lease: Lease,
  request: CommandRequest,
): Promise<SandboxProcess | null> {
  const { sandbox, owner, generation } = lease;
  publishStatus(dependencies, owner, "waking", generation, 0);
  const { milliseconds } = await sandbox.resume();
  publishStatus(dependencies, owner, "awake", generation, milliseconds);
  awakeSince.set(lease, performance.now());
  await sql`
    update sandboxes set state = 'awake', commands = commands + 1, updated_at = now(),
      resume_milliseconds = (array_append(resume_milliseconds, ${milliseconds}::float8))[greatest(1, cardinality(resume_milliseconds) - 998):]
    where session_id = ${owner.sessionId}`.execute(dependencies.database);
  if (request.reattach) return sandbox.session.attachCommand({ commandId: request.commandId, byteOffset: 0 });
  return sandbox.session.spawn({
    command: request.command,
    commandId: request.commandId,
    workingDirectory: "/workspace",
    timeoutMs: request.timeoutMs,
  });
}

/** When the lease's sandbox was thawed, on the clock of `performance.now()`. */
const awakeSince = new WeakMap<Lease, number>();

async function suspendAfter(dependencies: CommandRunnerDependencies, lease: Lease): Promise<void> {
  const { milliseconds } = await lease.sandbox.suspend();
  const awake = performance.now() - (awakeSince.get(lease) ?? performance.now());
  publishStatus(dependencies, lease.owner, "suspended", lease.generation, milliseconds);
  await sql`
    update sandboxes set state = 'suspended', awake_milliseconds = awake_milliseconds + ${awake}, updated_at = now()
    where session_id = ${lease.owner.sessionId}`.execute(dependencies.database);
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
