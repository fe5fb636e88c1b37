/**
 * Starts the runs that are due. Whatever belongs to one instant is one transaction: the deployment's next instant, the
 * run, its session with its initial events, and the wake. A process that dies before the commit has done nothing, and
 * the next look finds the instant still due; one that dies after it has done everything.
 * @module
 */
import { pausingErrors, type RunError } from "@exoloop/protocol/deployments";
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import { type Plan, planRuns } from "./plan.ts";
import { type DeploymentRow, scheduleOf } from "./row.ts";
import { type RunRow, type StartDependencies, startRun } from "./start-run.ts";

export interface DueRunsDependencies extends StartDependencies {
  readonly database: Kysely<Tables>;
  readonly notices: Pick<NoticeBoard, "publish">;
}

/** Deployments that one look handles, at most; the rest waits for the next. */
const lookLimit = 1000;

/**
 * Any number of workers may look at once: a deployment that one of them has locked is passed over by the others.
 * @returns the recorded runs
 * @throws when the database is away; a deployment that fails alone is logged and left for the next look
 */
export async function takeDueRuns(dependencies: DueRunsDependencies, now: Date): Promise<readonly RunRow[]> {
  const { database, notices, log } = dependencies;
  const runs: RunRow[] = [];
  const passed: string[] = [];
  for (let looks = 0; looks < lookLimit; looks += 1) {
    let claimed: string | null = null;
    try {
      const taken = await database.transaction().execute(async (transaction) => {
        const deployment = await claimDue(transaction, now, passed);
        claimed = deployment?.id ?? null;
        return deployment === null ? null : takeInstants(transaction, dependencies, deployment, now);
      });
      if (taken === null) break;
      if (taken.run === null) continue;
      runs.push(taken.run);
      const { session_id: sessionId } = taken.run;
      const seq = taken.deployment.initial_events.length;
      if (sessionId !== null) notices.publish({ type: "appended", sessionId, seq });
    } catch (error) {
      if (claimed === null) throw error;
      log.error({ deployment: claimed, error }, "a due run was not started and stays due");
      passed.push(claimed);
    }
  }
  return runs;
}

/** Whether a session's run goes on: until the session first stops for good, or is archived or gone. */
const goesOn = sql<boolean>`
  sessions.status <> 'terminated' and sessions.archived_at is null and not exists (
    select from session_events
    where session_events.session_id = sessions.id and session_events.type = 'session.status_idle'
      and session_events.data->'stop_reason'->>'type' <> 'requires_action')`;

const hasGoingRun = sql<boolean>`exists (
  select from deployment_runs join sessions on sessions.id = deployment_runs.session_id
  where deployment_runs.deployment_id = deployments.id and deployment_runs.ended_at is null and ${goesOn})`;

async function claimDue(
  transaction: Transaction<Tables>,
  now: Date,
  passed: readonly string[],
): Promise<DeploymentRow | null> {
  const row = await transaction
    .selectFrom("deployments")
    .selectAll()
    .where("archived_at", "is", null)
    .where("paused_reason", "is", null)
    .where(sql<boolean>`not (id = any(${passed}::text[]))`)
    .where(sql<boolean>`(next_run_at <= ${now} or (queued_runs_at <> '{}' and not ${hasGoingRun}))`)
    .orderBy("next_run_at")
    .limit(1)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst();
  return row ?? null;
}

interface Taken {
  readonly deployment: DeploymentRow;
  readonly run: RunRow | null;
}

async function takeInstants(
  transaction: Transaction<Tables>,
  dependencies: StartDependencies,
  deployment: DeploymentRow,
  now: Date,
): Promise<Taken> {
  const plan = planRuns(
    {
      schedule: scheduleOf(deployment),
      nextRunAt: deployment.next_run_at,
      queued: deployment.queued_runs_at,
      missedRuns: deployment.missed_runs,
      overlap: deployment.overlap,
      going: await endRuns(transaction, deployment.id, now),
    },
    now,
  );
  const run =
    plan.start === null || (await isRecorded(transaction, deployment.id, plan.start))
      ? null
      : await startRun(transaction, dependencies, deployment, plan.start, now);
  await writePlan(transaction, deployment, plan, run, now);
  return { deployment, run };
}

/** Notes which runs have ended. Answers whether one goes on. */
async function endRuns(transaction: Transaction<Tables>, deploymentId: string, now: Date): Promise<boolean> {
  const { rows } = await sql<{ going: boolean }>`
    with ended as (
      update deployment_runs set ended_at = ${now}
      where deployment_id = ${deploymentId} and ended_at is null and session_id is not null
        and not exists (select from sessions where sessions.id = deployment_runs.session_id and ${goesOn})
      returning id
    )
    select exists (
      select from deployment_runs
      where deployment_id = ${deploymentId} and ended_at is null and session_id is not null
        and id not in (select id from ended)
    ) as going`.execute(transaction);
  return rows[0]?.going ?? false;
}

/** An instant may come again when the schedule is changed in the minute after it, or clocks differ. */
async function isRecorded(transaction: Transaction<Tables>, deploymentId: string, instant: Date): Promise<boolean> {
  const row = await transaction
    .selectFrom("deployment_runs")
    .select("id")
    .where("deployment_id", "=", deploymentId)
    .where("scheduled_at", "=", instant)
    .executeTakeFirst();
  return row !== undefined;
}

async function writePlan(
  transaction: Transaction<Tables>,
  deployment: DeploymentRow,
  plan: Plan,
  run: RunRow | null,
  now: Date,
): Promise<void> {
  const pausing = run === null ? null : pausingErrorOf(run.error);
  await transaction
    .updateTable("deployments")
    .set({
      next_run_at: pausing === null ? plan.nextRunAt : null,
      queued_runs_at: pausing === null ? [...plan.queued] : [],
      skipped_runs: deployment.skipped_runs + plan.skipped.length,
      last_skipped_at: plan.skipped.at(-1) ?? deployment.last_skipped_at,
      ...(run?.session_id == null ? {} : { last_run_at: now }),
      ...(pausing === null ? {} : { paused_reason: JSON.stringify({ type: "error", error: { type: pausing } }) }),
    })
    .where("id", "=", deployment.id)
    .execute();
}

function pausingErrorOf(error: RunError | null): (typeof pausingErrors)[number] | null {
  return pausingErrors.find((type) => type === error?.type) ?? null;
}

/** When to look next: at once when something waits, at the next instant, or null when nothing is scheduled. */
export async function readNextDue(database: Kysely<Tables>): Promise<{ at: Date | null; queued: boolean }> {
  const row = await database
    .selectFrom("deployments")
    .select((expression) => expression.fn.min("next_run_at").as("at"))
    .select(sql<boolean>`coalesce(bool_or(queued_runs_at <> '{}'), false)`.as("queued"))
    .where("archived_at", "is", null)
    .where("paused_reason", "is", null)
    .where(sql<boolean>`(next_run_at is not null or queued_runs_at <> '{}')`)
    .executeTakeFirstOrThrow();
  return row;
}
