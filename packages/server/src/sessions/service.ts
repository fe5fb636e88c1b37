/** Sessions, as the API asks for them. Each change is one transaction that also wakes what it must wake. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Kysely, Selectable } from "kysely";
import type { SessionTable, Tables } from "../db/tables.ts";
import type { CreateSessionInput, Principal, SessionRow, SessionService, UserEventInput } from "./port.ts";
import { readSandboxFigures } from "../sandboxes/summary.ts";
import { insertSession } from "./create.ts";
import { archiveSession, deleteSession, type EndDependencies } from "./end-session.ts";
import { noFigures, readFigures } from "./figures.ts";
import { readHistory } from "./history.ts";
import { admit } from "./inbox.ts";
import { listSessions } from "./list.ts";
import { lockSession, refuseArchived, sessionNotFound } from "./locked-session.ts";
import { readOutcomeEvaluations } from "./outcome-evaluations.ts";
import { readResources } from "./resources/read-resources.ts";
import { updateSession } from "./update.ts";

export interface SessionServiceDependencies extends EndDependencies {
  /** Whether the model has a list price. */
  readonly isPriced: (model: string) => boolean;
}

export function createSessionService(dependencies: SessionServiceDependencies): SessionService {
  const { database } = dependencies;
  const service: SessionService = {
    create: (principal, input) => createSession(dependencies, principal, input),
    async get(principal, sessionId) {
      const row = await findSession(database, principal, sessionId);
      const [session] = await withFigures(database, [row]);
      if (session === undefined) throw sessionNotFound(sessionId);
      return session;
    },
    async list(principal, query) {
      const page = await listSessions(database, principal.organizationId, query);
      return { ...page, rows: await withFigures(database, page.rows) };
    },
    async update(principal, sessionId, patch) {
      await updateSession(dependencies, principal, sessionId, patch);
      return service.get(principal, sessionId);
    },
    async archive(principal, sessionId) {
      const seq = await archiveSession(dependencies, principal, sessionId);
      if (seq !== null) dependencies.notices.publish({ type: "appended", sessionId, seq });
      return service.get(principal, sessionId);
    },
    delete: (principal, sessionId) => deleteSession(dependencies, principal, sessionId),
    send: (principal, sessionId, events) => sendEvents(dependencies, principal, sessionId, events),
    async events(principal, sessionId, query) {
      await findSession(database, principal, sessionId);
      return readHistory(database, sessionId, query);
    },
    async head(principal, sessionId) {
      const row = await findSession(database, principal, sessionId);
      return { seq: Number(row.head_seq), status: row.status, archived: row.archived_at !== null };
    },
  };
  return service;
}

async function findSession(
  database: Kysely<Tables>,
  principal: Principal,
  sessionId: string,
): Promise<Selectable<SessionTable>> {
  const row = await database
    .selectFrom("sessions")
    .selectAll()
    .where("id", "=", sessionId)
    .where("organization_id", "=", principal.organizationId)
    .where("parent_session_id", "is", null)
    .executeTakeFirst();
  if (row === undefined) throw sessionNotFound(sessionId);
  return row;
}

async function withFigures(
  database: Kysely<Tables>,
  rows: readonly Selectable<SessionTable>[],
): Promise<readonly SessionRow[]> {
  const ids = rows.map((row) => row.id);
  const [figures, sandboxes, outcomes, resources] = await Promise.all([
    readFigures(database, ids),
    readSandboxFigures(database, ids),
    readOutcomeEvaluations(database, ids),
    readResources(database, ids),
  ]);
  return rows.map((row): SessionRow => {
    const usage = figures.get(row.id) ?? noFigures;
    const end = row.archived_at ?? new Date();
    return {
      id: row.id,
      // Written by createSession from a resolved agent.
      agent: row.agent as SessionRow["agent"],
      environmentId: row.environment_id,
      title: row.title,
      metadata: row.metadata,
      status: row.status,
      usage,
      resources: resources.get(row.id) ?? [],
      budget: row.budget ?? {},
      outcomeEvaluations: outcomes.get(row.id) ?? [],
      stats: {
        activeSeconds: usage.runningMs / 1_000,
        durationSeconds: Math.max(0, end.getTime() - row.created_at.getTime()) / 1000,
      },
      sandbox: sandboxes.get(row.id) ?? null,
      deploymentId: row.deployment_id,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      archivedAt: row.archived_at,
    };
  });
}

async function createSession(
  { database, engine, notices, isPriced }: SessionServiceDependencies,
  principal: Principal,
  input: CreateSessionInput,
): Promise<SessionRow> {
  const id = createId("session");
  const { organizationId, apiKeyId } = principal;
  const session = { ...input, id, organizationId, createdBy: apiKeyId, deploymentId: null };
  const row = await database
    .transaction()
    .execute((transaction) => insertSession(transaction, { engine, isPriced }, session));
  if (input.initialEvents.length > 0)
    notices.publish({ type: "appended", sessionId: id, seq: input.initialEvents.length });
  const [created] = await withFigures(database, [row]);
  if (created === undefined) throw sessionNotFound(id);
  return created;
}

async function sendEvents(
  { database, engine, notices }: SessionServiceDependencies,
  principal: Principal,
  sessionId: string,
  inputs: readonly UserEventInput[],
) {
  const threads = new Map<string, number>();
  const stored = await database.transaction().execute(async (transaction) => {
    threads.clear();
    refuseArchived(await lockSession(transaction, principal.organizationId, sessionId));
    return admit(transaction, engine, sessionId, inputs, threads);
  });
  const last = Math.max(0, ...stored.map((event) => event.seq));
  for (const [id, seq] of [...threads, [sessionId, last] as const]) {
    notices.publish({ type: "appended", sessionId: id, seq });
  }
  const history = await readHistory(database, sessionId, {
    order: "asc",
    limit: stored.length,
    ids: stored.map((event) => event.id),
  });
  const byId = new Map(history.map((event) => [event.id, event]));
  return stored.flatMap((event) => byId.get(event.id) ?? []);
}
