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
import { findOpenSession, lockOpenSession, mayUse } from "./access.ts";
import { refuseArchived, sessionNotFound } from "./locked-session.ts";
import { ownerOf } from "./owner.ts";
import { readOutcomeEvaluations } from "./outcome-evaluations.ts";
import { readResources } from "./resources/read-resources.ts";
import { type ShareDependencies, shareSession } from "./share.ts";
import { updateSession } from "./update.ts";

export interface SessionServiceDependencies extends EndDependencies, ShareDependencies {
  /** Whether the model has a list price. */
  readonly isPriced: (model: string) => boolean;
}

export function createSessionService(dependencies: SessionServiceDependencies): SessionService {
  const { database } = dependencies;
  const service: SessionService = {
    create: (principal, input) => createSession(dependencies, principal, input),
    async get(principal, sessionId) {
      const row = await findOpenSession(database, principal, sessionId, "oversee");
      const [session] = await withFigures(database, principal, [row]);
      if (session === undefined) throw sessionNotFound(sessionId);
      return session;
    },
    async list(principal, query) {
      const page = await listSessions(database, principal, query);
      return { ...page, rows: await withFigures(database, principal, page.rows) };
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
    share: (principal, sessionId) => shareSession(dependencies, principal, sessionId),
    send: (principal, sessionId, events) => sendEvents(dependencies, principal, sessionId, events),
    async events(principal, sessionId, query) {
      await findOpenSession(database, principal, sessionId, "drive");
      return readHistory(database, sessionId, query);
    },
    async head(principal, sessionId) {
      const row = await findOpenSession(database, principal, sessionId, "drive");
      return { seq: Number(row.head_seq), status: row.status, archived: row.archived_at !== null };
    },
  };
  return service;
}

async function withFigures(
  database: Kysely<Tables>,
  principal: Principal,
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
    // Words of a person or of the session's own: not for those who only oversee it.
    const open = mayUse(principal, row, "drive");
    return {
      id: row.id,
      // Written by createSession from a resolved agent.
      agent: row.agent as SessionRow["agent"],
      environmentId: row.environment_id,
      title: open ? row.title : null,
      metadata: open ? row.metadata : {},
      status: row.status,
      usage,
      resources: open ? (resources.get(row.id) ?? []) : [],
      budget: row.budget ?? {},
      outcomeEvaluations: open ? (outcomes.get(row.id) ?? []) : [],
      stats: {
        activeSeconds: usage.runningMs / 1_000,
        durationSeconds: Math.max(0, end.getTime() - row.created_at.getTime()) / 1000,
      },
      sandbox: sandboxes.get(row.id) ?? null,
      deploymentId: row.deployment_id,
      userId: row.user_id,
      visibility: row.visibility,
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
  const row = await database.transaction().execute(async (transaction) => {
    const owner = await ownerOf(transaction, principal, input);
    const session = { ...input, ...owner, id, organizationId, createdBy: apiKeyId, deploymentId: null };
    return insertSession(transaction, { engine, isPriced }, session);
  });
  if (input.initialEvents.length > 0)
    notices.publish({ type: "appended", sessionId: id, seq: input.initialEvents.length });
  const [created] = await withFigures(database, principal, [row]);
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
    refuseArchived(await lockOpenSession(transaction, principal, sessionId, "drive"));
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
