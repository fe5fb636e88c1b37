/** `exoloop deployments list|show|create|pause|unpause|run|runs|archive`. @module */
import type {
  Deployment,
  DeploymentRun,
  DeploymentStatus,
  MissedRunsPolicy,
  OverlapPolicy,
} from "@exoloop/protocol/deployments";
import type { Api } from "../api.ts";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeToLine } from "../render/escape.ts";
import { tableLines } from "../render/table.ts";
import { choose, findAgent, findEnvironment } from "./run.ts";

interface JsonOption {
  readonly json?: boolean;
}

export interface ListDeploymentsOptions extends JsonOption {
  readonly limit: number;
  readonly status?: DeploymentStatus;
}

export async function listDeployments(context: CommandContext, options: ListDeploymentsOptions): Promise<ExitCode> {
  const api = await context.connect();
  const deployments = await api.deployments({
    limit: options.limit,
    ...(options.status === undefined ? {} : { status: options.status }),
  });
  if (options.json === true) writeJson(context.output, { data: deployments });
  else if (deployments.length === 0) {
    writeLine(context.progress, 'No deployments. Make one: exoloop deployments create --name <name> "<task>"');
  } else {
    const rows = deployments.map((deployment) => [
      deployment.id,
      statusOf(deployment),
      describeSchedule(deployment),
      shortInstant(nextRun(deployment)),
      shortInstant(deployment.schedule?.last_run_at),
      deployment.name,
    ]);
    for (const line of tableLines(["ID", "STATUS", "SCHEDULE", "NEXT (UTC)", "LAST (UTC)", "NAME"], rows, context)) {
      writeLine(context.output, line);
    }
  }
  return exitCodes.ok;
}

const shortInstant = (instant: string | null | undefined) => instant?.replace("T", " ").slice(0, 16) ?? "-";

function statusOf({ archived_at, status, paused_reason: reason }: Deployment): string {
  if (archived_at !== null) return "archived";
  return reason?.type === "error" ? `${status}: ${reason.error.type}` : status;
}

function describeSchedule({ schedule }: Deployment): string {
  return schedule === null ? "by hand" : `${schedule.expression} ${schedule.timezone}`;
}

/** A paused deployment has no next run. */
function nextRun({ schedule, status }: Deployment): string | undefined {
  return status === "paused" ? undefined : schedule?.upcoming_runs_at[0];
}

/** Runs that `show` ends with. */
const shownRuns = 10;

export async function showDeployment(context: CommandContext, named: string, options: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const deployment = await api.deployment(await findDeployment(api, named));
  if (options.json === true) {
    writeJson(context.output, deployment);
    return exitCodes.ok;
  }
  for (const line of describeDeployment(deployment)) writeLine(context.output, line);
  const runs = await api.deploymentRuns({ deploymentId: deployment.id, limit: shownRuns });
  if (runs.length > 0) writeLine(context.output, "");
  for (const line of runs.length > 0 ? runTable(runs, context) : []) writeLine(context.output, line);
  return exitCodes.ok;
}

/** Deployments that a name is looked for in, newest first; the id of any other is asked for as it is. */
const namedDeployments = 100;

/** The id: what looks like one, else that of the name. */
async function findDeployment(api: Api, named: string): Promise<string> {
  if (named.startsWith("depl_")) return named;
  return choose(await api.deployments({ limit: namedDeployments }), named, "deployment").id;
}

/** Escaped lines of `name  value`. */
export function describeDeployment(deployment: Deployment): string[] {
  const { agent, schedule, x_exoloop: more } = deployment;
  const rows: readonly (readonly [string, string])[] = [
    ["deployment", deployment.id],
    ["name", deployment.name],
    ["about", deployment.description ?? ""],
    ["status", statusOf(deployment)],
    ["agent", `${agent.id} version ${agent.version}`],
    ["environment", deployment.environment_id],
    ["schedule", describeSchedule(deployment)],
    ...(schedule === null
      ? []
      : ([
          [
            "next (UTC)",
            deployment.status === "paused" ? "when unpaused" : schedule.upcoming_runs_at.map(shortInstant).join(", "),
          ],
          ["last (UTC)", schedule.last_run_at === null ? "none yet" : shortInstant(schedule.last_run_at)],
          ["missed", `${more.missed_runs}; overlapping: ${more.overlap}`],
          ["waiting", more.queued_runs_at.join(", ")],
          ["skipped", more.skipped_runs === 0 ? "" : `${more.skipped_runs}, last ${more.last_skipped_at ?? ""}`],
        ] as const)),
  ];
  return rows.filter(([, value]) => value !== "").map(([name, value]) => `${name.padEnd(12)} ${escapeToLine(value)}`);
}

export interface CreateDeploymentOptions extends JsonOption {
  readonly name: string;
  readonly agent?: string;
  readonly env?: string;
  readonly cron?: string;
  readonly timezone?: string;
  readonly missedRuns?: MissedRunsPolicy;
  readonly overlap?: OverlapPolicy;
}

export async function createDeployment(
  context: CommandContext,
  task: string,
  options: CreateDeploymentOptions,
): Promise<ExitCode> {
  if (task.trim() === "") throw new CommandError("The task is empty.", exitCodes.usage);
  if (options.cron === undefined && options.timezone !== undefined) {
    throw new CommandError("A time zone says nothing without --cron.", exitCodes.usage);
  }
  const api = await context.connect();
  const model = options.agent === undefined ? await api.defaultModel() : undefined;
  const agent = await findAgent(api, options.agent, model);
  const environment = await findEnvironment(api, options.env);
  const deployment = await api.createDeployment({
    name: options.name,
    agentId: agent.id,
    environmentId: environment.id,
    message: task,
    ...(options.cron === undefined
      ? {}
      : { schedule: { expression: options.cron, timezone: options.timezone ?? localTimezone() } }),
    ...(options.missedRuns === undefined ? {} : { missedRuns: options.missedRuns }),
    ...(options.overlap === undefined ? {} : { overlap: options.overlap }),
  });
  if (options.json === true) writeJson(context.output, deployment);
  else for (const line of describeDeployment(deployment)) writeLine(context.output, line);
  return exitCodes.ok;
}

/** Of this machine: where a person says "nine o'clock". */
function localTimezone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

export type DeploymentVerb = "pause" | "unpause" | "archive";

const done: Record<DeploymentVerb, string> = {
  pause: "is paused: its schedule starts nothing.",
  unpause: "is active.",
  archive: "is archived: nothing starts it any more.",
};

export async function changeDeployment(
  context: CommandContext,
  verb: DeploymentVerb,
  named: string,
  options: JsonOption,
): Promise<ExitCode> {
  const api = await context.connect();
  const deployment = await api.changeDeployment(await findDeployment(api, named), verb);
  if (options.json === true) writeJson(context.output, deployment);
  else {
    const next = verb === "unpause" ? nextRun(deployment) : undefined;
    const line = `${escapeToLine(named)} ${done[verb]}${next === undefined ? "" : ` Next run: ${shortInstant(next)} UTC.`}`;
    writeLine(context.progress, line);
  }
  return exitCodes.ok;
}

export async function runDeployment(context: CommandContext, named: string, options: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const run = await api.runDeployment(await findDeployment(api, named));
  if (options.json === true) writeJson(context.output, run);
  else if (run.session_id !== null) {
    writeLine(context.output, `session ${escapeToLine(run.session_id)}`);
    writeLine(context.progress, `Watch it: exoloop sessions attach ${escapeToLine(run.session_id)}`);
  } else writeLine(context.progress, `${run.error?.type ?? "error"}: ${escapeToLine(run.error?.message ?? "")}`);
  return run.error === null ? exitCodes.ok : exitCodes.failure;
}

export interface ListRunsOptions extends JsonOption {
  readonly limit: number;
  readonly failed?: boolean;
}

export async function listRuns(
  context: CommandContext,
  named: string | undefined,
  options: ListRunsOptions,
): Promise<ExitCode> {
  const api = await context.connect();
  const id = named === undefined ? undefined : await findDeployment(api, named);
  // An unknown deployment has no runs to the API; to a person it is a mistake.
  if (id !== undefined) await api.deployment(id);
  const runs = await api.deploymentRuns({
    limit: options.limit,
    ...(id === undefined ? {} : { deploymentId: id }),
    ...(options.failed === true ? { failed: true } : {}),
  });
  if (options.json === true) writeJson(context.output, { data: runs });
  else if (runs.length === 0) writeLine(context.progress, "No runs.");
  else for (const line of runTable(runs, context)) writeLine(context.output, line);
  return exitCodes.ok;
}

function runTable(runs: readonly DeploymentRun[], context: CommandContext): string[] {
  const rows = runs.map((run) => [
    run.id,
    run.deployment_id,
    shortInstant(run.created_at),
    run.trigger_context.type === "manual" ? "by hand" : shortInstant(run.trigger_context.scheduled_at),
    run.session_id ?? `${run.error?.type ?? ""}: ${run.error?.message ?? ""}`,
  ]);
  return tableLines(["ID", "DEPLOYMENT", "STARTED (UTC)", "SCHEDULED (UTC)", "SESSION OR ERROR"], rows, context);
}
