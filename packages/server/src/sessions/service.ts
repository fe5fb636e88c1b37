/** Sessions, as the API asks for them. Each change is one transaction that also wakes what it must wake. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Kysely, Selectable } from "kysely";
import type { SessionTable, Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import type { CreateSessionInput, Principal, SessionRow, SessionService, UserEventInput } from "./port.ts";
import { readSandboxFigures } from "../sandboxes/summary.ts";
import { chargeOf } from "./charge.ts";
import { insertSession } from "./create.ts";
import { publicEvent } from "./event.ts";
import { noFigures, readFigures } from "./figures.ts";
import { readHistory } from "./history.ts";
import { admit } from "./inbox.ts";
import { chargeLedger } from "./ledger.ts";
import { listSessions } from "./list.ts";
import { lockSession, refuseArchived, sessionNotFound } from "./locked-session.ts";
import { appendUnderLock } from "./log.ts";
import type { NoticeBoard } from "./notices.ts";
import { updateSession } from "./update.ts";
import { endAllWaits, wakeWaiters } from "./waits.ts";

export interface SessionServiceDependencies {
  readonly database: Kysely<Tables>;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
  /** Whether the model has a list price. */
  readonly isPriced: (model: string) => boolean;
  /** Destroys the sandbox of a session that takes no more commands. Never rejects. */
  readonly releaseSandbox: (owner: { readonly sessionId: string; readonly organizationId: string }) => Promise<void>;
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
    .executeTakeFirst();
  if (row === undefined) throw sessionNotFound(sessionId);
  return row;
}

async function withFigures(
  database: Kysely<Tables>,
  rows: readonly Selectable<SessionTable>[],
): Promise<readonly SessionRow[]> {
  const ids = rows.map((row) => row.id);
  const [figures, sandboxes] = await Promise.all([readFigures(database, ids), readSandboxFigures(database, ids)]);
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
      budget: row.budget ?? {},
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

/**
 * The epoch is taken from a running driver: it writes nothing after this. Answers the number of the event that says so,
 * for the caller to announce; null when the session was archived before.
 */
async function archiveSession(
  { database, engine, releaseSandbox }: SessionServiceDependencies,
  principal: Principal,
  sessionId: string,
): Promise<number | null> {
  const seq = await database.transaction().execute(async (transaction) => {
    const row = await lockSession(transaction, principal.organizationId, sessionId);
    if (row.archived_at !== null) return null;
    const terminated = publicEvent("session.status_terminated", {});
    const events = await appendUnderLock(transaction, sessionId, [terminated], { status: "terminated", fence: true });
    const charge = chargeOf([terminated]);
    const first = events[0]?.seq;
    if (charge !== null && first !== undefined) await chargeLedger(transaction, sessionId, charge, first);
    await transaction.updateTable("sessions").set({ archived_at: new Date() }).where("id", "=", sessionId).execute();
    await endAllWaits(transaction, sessionId);
    await wakeWaiters(transaction, engine, { sessionId, organizationId: principal.organizationId });
    return events.at(-1)?.seq ?? null;
  });
  if (seq !== null) await releaseSandbox({ sessionId, organizationId: principal.organizationId });
  return seq;
}

async function deleteSession(
  dependencies: SessionServiceDependencies,
  principal: Principal,
  sessionId: string,
): Promise<void> {
  // Archived first: the driver loses its claim, and no command makes another sandbox after this one is destroyed. The
  // row that names the sandbox goes with the session. Not announced: what streams show is the deletion.
  await archiveSession(dependencies, principal, sessionId);
  await dependencies.database.transaction().execute(async (transaction) => {
    await lockSession(transaction, principal.organizationId, sessionId);
    await transaction.deleteFrom("sessions").where("id", "=", sessionId).execute();
  });
  dependencies.notices.publish({ type: "deleted", sessionId });
}

async function sendEvents(
  { database, engine, notices }: SessionServiceDependencies,
  principal: Principal,
  sessionId: string,
  inputs: readonly UserEventInput[],
) {
  const stored = await database.transaction().execute(async (transaction) => {
    refuseArchived(await lockSession(transaction, principal.organizationId, sessionId));
    return admit(transaction, engine, sessionId, inputs);
  });
  const last = Math.max(0, ...stored.map((event) => event.seq));
  notices.publish({ type: "appended", sessionId, seq: last });
  const history = await readHistory(database, sessionId, {
    order: "asc",
    limit: stored.length,
    ids: stored.map((event) => event.id),
  });
  const byId = new Map(history.map((event) => [event.id, event]));
  return stored.flatMap((event) => byId.get(event.id) ?? []);
}
