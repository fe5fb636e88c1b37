/** Deployments in Postgres. Every change holds the deployment's row lock, as every run does. @module */
import type { Deployment, PausedReason } from "@exoloop/protocol/deployments";
import { createId } from "@exoloop/protocol/ids";
import { isDeepStrictEqual } from "node:util";
import { type Kysely, sql, type Transaction, type Updateable } from "kysely";
import { changedMetadata } from "../agents/definition.ts";
import { listCondition, listPage, type ListPage, positionColumn, readOrder } from "../agents/list.ts";
import { resolveSessionAgent } from "../agents/resolve.ts";
import type { DeploymentTable } from "../db/tables/deployments.ts";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { requireEnvironment } from "../sessions/create.ts";
import { checkResources } from "../sessions/resources/attach.ts";
import { nextOccurrence, type Schedule } from "./cron.ts";
import type { DueRunsDependencies } from "./due-runs.ts";
import type { CreateDeploymentInput, DeploymentService, ListDeploymentsQuery, UpdateDeploymentInput } from "./port.ts";
import { type DeploymentRow, scheduleOf, toDeployment, toRun } from "./row.ts";
import { startRun } from "./start-run.ts";

export interface DeploymentServiceDependencies extends DueRunsDependencies {
  /** The clock by which schedules begin. */
  readonly now?: () => Date;
}

/** @example const deployments = createDeploymentService({ database, engine, notices, log }); */
export function createDeploymentService(dependencies: DeploymentServiceDependencies): DeploymentService {
  const { database, now = () => new Date() } = dependencies;
  const change = async (organizationId: string, id: string, apply: Apply): Promise<Deployment> =>
    toDeployment(await changeRow(database, organizationId, id, apply), now());
  const get = async (organizationId: string, id: string): Promise<Deployment> => {
    const row = await selectDeployment(database, organizationId, id).executeTakeFirst();
    if (row === undefined) throw deploymentNotFound(id);
    return toDeployment(row, now());
  };
  return {
    create: async (organizationId, input) =>
      toDeployment(await createDeployment(database, organizationId, input, now()), now()),
    get,
    update: (organizationId, id, input) =>
      change(organizationId, id, (row, transaction) => applyUpdate(row, transaction, input, now())),
    async list(organizationId, query) {
      const page = await listDeployments(database, organizationId, query);
      const at = now();
      return { ...page, rows: page.rows.map((row) => toDeployment(row, at)) };
    },
    async archive(organizationId, id) {
      await database
        .updateTable("deployments")
        .set({ archived_at: sql<Date>`now()`, updated_at: sql<Date>`now()`, ...atRest })
        .where("id", "=", id)
        .where("organization_id", "=", organizationId)
        .where("archived_at", "is", null)
        .execute();
      return get(organizationId, id);
    },
    pause: (organizationId, id) =>
      change(organizationId, id, (row) => {
        const manual: PausedReason = { type: "manual" };
        return row.paused_reason === null ? { paused_reason: JSON.stringify(manual), ...atRest } : null;
      }),
    unpause: (organizationId, id) =>
      change(organizationId, id, (row) =>
        row.paused_reason === null ? null : { paused_reason: null, ...beginning(scheduleOf(row), now()) },
      ),
    run: (organizationId, id) => runNow(dependencies, organizationId, id, now()),
  };
}

/** No instant is due. */
const atRest = { next_run_at: null, queued_runs_at: [] as Date[] };

/** The schedule begins now: what came before is not missed. */
function beginning(schedule: Schedule | null, now: Date) {
  return { next_run_at: schedule === null ? null : nextOccurrence(schedule, now), queued_runs_at: [] as Date[] };
}

function deploymentNotFound(id: string): Problem {
  return new Problem(
    "not_found",
    `No deployment has the id ${JSON.stringify(id)}.`,
    "List them with GET /v1/deployments.",
  );
}

function selectDeployment(database: Kysely<Tables>, organizationId: string, id: string) {
  return database
    .selectFrom("deployments")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("id", "=", id);
}

/** @throws Problem `not_found`, `deployment_archived` */
async function lockDeployment(
  transaction: Transaction<Tables>,
  organizationId: string,
  id: string,
): Promise<DeploymentRow> {
  const row = await selectDeployment(transaction, organizationId, id).forUpdate().executeTakeFirst();
  if (row === undefined) throw deploymentNotFound(id);
  if (row.archived_at === null) return row;
  throw new Problem(
    "deployment_archived",
    "The deployment is archived: it does not change and starts nothing.",
    "Create a new one.",
  );
}

type Changes = Updateable<DeploymentTable>;
type Apply = (row: DeploymentRow, transaction: Transaction<Tables>) => Changes | null | Promise<Changes | null>;

/** Null changes nothing. */
function changeRow(database: Kysely<Tables>, organizationId: string, id: string, apply: Apply): Promise<DeploymentRow> {
  return database.transaction().execute(async (transaction) => {
    const row = await lockDeployment(transaction, organizationId, id);
    const changes = await apply(row, transaction);
    if (changes === null) return row;
    return transaction
      .updateTable("deployments")
      .set({ ...changes, updated_at: sql<Date>`now()` })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
  });
}

async function resolveAgent(
  transaction: Transaction<Tables>,
  organizationId: string,
  agent: CreateDeploymentInput["agent"],
): Promise<{ agent_id: string; agent_version: number }> {
  const { id, version } = await resolveSessionAgent(transaction, organizationId, { type: "agent", ...agent });
  return { agent_id: id, agent_version: version };
}

function createDeployment(
  database: Kysely<Tables>,
  organizationId: string,
  input: CreateDeploymentInput,
  now: Date,
): Promise<DeploymentRow> {
  return database.transaction().execute(async (transaction) => {
    const agent = await resolveAgent(transaction, organizationId, input.agent);
    await requireEnvironment(transaction, organizationId, input.environmentId);
    await checkResources(transaction, organizationId, input.resources);
    return transaction
      .insertInto("deployments")
      .values({
        id: createId("deployment"),
        organization_id: organizationId,
        name: input.name,
        description: input.description,
        ...agent,
        environment_id: input.environmentId,
        initial_events: JSON.stringify(input.initialEvents),
        metadata: JSON.stringify(input.metadata),
        resources: JSON.stringify(input.resources),
        schedule_expression: input.schedule?.expression ?? null,
        schedule_timezone: input.schedule?.timezone ?? null,
        missed_runs: input.missedRuns,
        overlap: input.overlap,
        ...beginning(input.schedule, now),
      })
      .returningAll()
      .executeTakeFirstOrThrow();
  });
}

async function applyUpdate(
  row: DeploymentRow,
  transaction: Transaction<Tables>,
  input: UpdateDeploymentInput,
  now: Date,
): Promise<Changes> {
  const agent = input.agent === undefined ? {} : await resolveAgent(transaction, row.organization_id, input.agent);
  if (input.environmentId !== undefined) {
    await requireEnvironment(transaction, row.organization_id, input.environmentId);
  }
  if (input.resources !== undefined) await checkResources(transaction, row.organization_id, input.resources);
  const { schedule } = input;
  const rescheduled = schedule !== undefined && !isDeepStrictEqual(schedule, scheduleOf(row));
  return {
    name: input.name ?? row.name,
    description: input.description === undefined ? row.description : input.description,
    ...agent,
    environment_id: input.environmentId ?? row.environment_id,
    initial_events: JSON.stringify(input.initialEvents ?? row.initial_events),
    resources: JSON.stringify(input.resources ?? row.resources),
    metadata: JSON.stringify(
      input.metadata === undefined ? row.metadata : changedMetadata(row.metadata, input.metadata),
    ),
    missed_runs: input.missedRuns ?? row.missed_runs,
    overlap: input.overlap ?? row.overlap,
    ...(rescheduled
      ? {
          schedule_expression: schedule?.expression ?? null,
          schedule_timezone: schedule?.timezone ?? null,
          ...(row.paused_reason === null ? beginning(schedule, now) : atRest),
        }
      : {}),
  };
}

async function listDeployments(
  database: Kysely<Tables>,
  organizationId: string,
  query: ListDeploymentsQuery,
): Promise<ListPage<DeploymentRow>> {
  let select = database
    .selectFrom("deployments")
    .selectAll()
    .select(positionColumn.as("list_position"))
    .where("organization_id", "=", organizationId)
    .where(listCondition(query));
  if (query.agentId !== undefined) select = select.where("agent_id", "=", query.agentId);
  if (query.status !== undefined) {
    select = select.where("paused_reason", query.status === "active" ? "is" : "is not", null);
  }
  const rows = await select
    .orderBy("created_at", readOrder(query))
    .orderBy("id", readOrder(query))
    .limit(query.limit + 1)
    .execute();
  return listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
}

async function runNow(
  dependencies: DueRunsDependencies,
  organizationId: string,
  id: string,
  now: Date,
): Promise<ReturnType<typeof toRun>> {
  const { run, seq } = await dependencies.database.transaction().execute(async (transaction) => {
    const deployment = await lockDeployment(transaction, organizationId, id);
    const started = await startRun(transaction, dependencies, deployment, null, now);
    return { run: started, seq: deployment.initial_events.length };
  });
  if (run.session_id !== null) dependencies.notices.publish({ type: "appended", sessionId: run.session_id, seq });
  return toRun(run);
}
