/** One run: its session and its record, in the caller's transaction. @module */
import type { RunError } from "@exoloop/protocol/deployments";
import type { ResourceConfig } from "@exoloop/protocol/session-resources";
import { createId } from "@exoloop/protocol/ids";
import { type Selectable, sql, type Transaction } from "kysely";
import type { DeploymentRunTable } from "../db/tables/deployments.ts";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem, type ProblemCode } from "../errors.ts";
import { insertSession, requireEnvironment } from "../sessions/create.ts";
import type { UserEventInput } from "../sessions/port.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { DeploymentRow } from "./row.ts";

export interface StartDependencies {
  readonly engine: Engine;
  readonly log: Pick<Logger, "error">;
}

export type RunRow = Selectable<DeploymentRunTable>;

/**
 * Creates the session with its initial events and records the run; a session that cannot be created leaves nothing but
 * the record of why. The caller holds the deployment's row lock, and announces the session's events after the commit.
 * @param scheduledAt the instant, or null for a run by hand
 * @throws what another attempt may not meet again, such as a lost connection
 */
export async function startRun(
  transaction: Transaction<Tables>,
  { engine, log }: StartDependencies,
  deployment: DeploymentRow,
  scheduledAt: Date | null,
  now: Date,
): Promise<RunRow> {
  const sessionId = createId("session");
  await sql`savepoint session_creation`.execute(transaction);
  let error: RunError | null = null;
  try {
    await createSession(transaction, engine, deployment, sessionId);
  } catch (reason) {
    error = describeFailure(reason);
    await sql`rollback to savepoint session_creation`.execute(transaction);
    if (error.type === "unknown_error")
      log.error({ deployment: deployment.id, error: reason }, "a run failed to start");
  }
  return transaction
    .insertInto("deployment_runs")
    .values({
      id: createId("deploymentRun"),
      organization_id: deployment.organization_id,
      deployment_id: deployment.id,
      agent_id: deployment.agent_id,
      agent_version: deployment.agent_version,
      session_id: error === null ? sessionId : null,
      error: error === null ? null : JSON.stringify(error),
      scheduled_at: scheduledAt,
      created_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function createSession(
  transaction: Transaction<Tables>,
  engine: Engine,
  deployment: DeploymentRow,
  sessionId: string,
): Promise<void> {
  await requireEnvironment(transaction, deployment.organization_id, deployment.environment_id).catch(
    (problem: unknown) => {
      if (problem instanceof Problem && problem.code === "not_found") throw new EnvironmentGoneError(problem.message);
      throw problem;
    },
  );
  await insertSession(
    transaction,
    { engine, isPriced: () => false },
    {
      id: sessionId,
      organizationId: deployment.organization_id,
      deploymentId: deployment.id,
      createdBy: null,
      userId: null,
      visibility: "shared",
      untrusted: false,
      agent: { type: "agent", id: deployment.agent_id, version: deployment.agent_version },
      environmentId: deployment.environment_id,
      title: deployment.name,
      metadata: {},
      // Written from checked input.
      initialEvents: deployment.initial_events as UserEventInput[],
      resources: deployment.resources as ResourceConfig[],
    },
  );
}

class EnvironmentGoneError extends Error {
  override readonly name = "EnvironmentGoneError";
}

const errorTypes: Partial<Record<ProblemCode, RunError["type"]>> = {
  agent_archived: "agent_archived_error",
  environment_archived: "environment_archived_error",
  memory_store_archived: "memory_store_archived_error",
  memory_store_not_found: "session_resource_not_found_error",
  rate_limited: "session_rate_limited_error",
};

/** SQLSTATE classes of what passes: connections, rollbacks, resources, locks, interventions, the system. */
const passingFailure = /^(08|40|53|55|57|58|E)/;

function describeFailure(reason: unknown): RunError {
  if (reason instanceof EnvironmentGoneError) return { type: "environment_not_found_error", message: reason.message };
  if (reason instanceof Problem) {
    return { type: errorTypes[reason.code] ?? "session_creation_rejected_error", message: reason.message };
  }
  if (reason instanceof Error && "code" in reason && passingFailure.test(String(reason.code))) throw reason;
  if (reason instanceof Error && reason.message === "Connection terminated unexpectedly") throw reason;
  return { type: "unknown_error", message: "The server failed to create the session; its own log says why." };
}
