/** One append of the loop and everything that belongs into its transaction. @module */
import { createId } from "@exoloop/protocol/ids";
import { sql, type Transaction } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { type LogEvent, publicEvent, recordEvent } from "../sessions/event.ts";
import { chargeOf } from "../sessions/charge.ts";
import { chargeLedger } from "../sessions/ledger.ts";
import { appendAsDriver, appendUnderLock, type Claim } from "../sessions/log.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import { endWaits, registerWaits, wakeWaiters } from "../sessions/waits.ts";
import type { Database } from "../db/database.ts";
import { enqueueWork, stopWork } from "../work/enqueue.ts";
import type { AppendRequest, ThreadStart } from "./effects.ts";

export interface AppendDependencies {
  readonly database: Database;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
}

/** Null when `onlyAt` was given and the log has grown. @throws ClaimLostError */
export async function append(
  dependencies: AppendDependencies,
  claim: Claim,
  request: AppendRequest,
): Promise<readonly LogEvent[] | null> {
  const { database, notices } = dependencies;
  const { events, status, onlyAt, audit, heldByBudget } = request;
  const options = {
    ...(status === undefined ? {} : { status }),
    ...(onlyAt === undefined ? {} : { onlyAt }),
    ...(audit === undefined ? {} : { audit }),
    ...(heldByBudget === undefined ? {} : { heldByBudget }),
  };
  if (!hasCompany(request)) {
    const stored = await appendAsDriver(database, claim, events, options);
    announce(notices, claim.sessionId, stored);
    return stored;
  }
  const announced = new Map<string, readonly LogEvent[]>();
  const appended = await database.transaction().execute(async (transaction) => {
    announced.clear();
    // The order of locks between sessions: the parent's row before the thread's.
    if (request.parent !== undefined) await lockRow(transaction, request.parent.sessionId);
    else if (request.needsWorker === true) await lockServed(transaction, claim.sessionId);
    // It takes the row lock that a wake needs, and fails for a driver that was replaced.
    const stored = await appendAsDriver(transaction, claim, events, { ...options, chargedLater: true });
    if (stored === null) return null;
    await accompany(dependencies, transaction, claim, request, announced);
    const charge = chargeOf(events);
    const first = stored[0]?.seq;
    if (charge !== null && first !== undefined) await chargeLedger(transaction, claim.sessionId, charge, first);
    return stored;
  });
  announce(notices, claim.sessionId, appended);
  if (appended !== null) for (const [sessionId, stored] of announced) announce(notices, sessionId, stored);
  return appended;
}

function hasCompany(request: AppendRequest): boolean {
  const { wake, alarms, threads, parent, waits, endedWaits, status, needsWorker, stopsWorker } = request;
  const lists = [alarms, threads, waits, endedWaits];
  if (needsWorker === true || stopsWorker === true) return true;
  return wake === true || parent !== undefined || status === "idle" || lists.some((list) => (list ?? []).length > 0);
}

async function accompany(
  { engine, notices }: AppendDependencies,
  transaction: Transaction<Tables>,
  claim: Claim,
  request: AppendRequest,
  announced: Map<string, readonly LogEvent[]>,
): Promise<void> {
  const { alarms = [], threads = [], waits = [], endedWaits = [], parent } = request;
  for (const start of threads) announced.set(start.threadId, await startThread(transaction, engine, claim, start));
  await registerWaits(transaction, claim, waits);
  await endWaits(transaction, claim.sessionId, endedWaits);
  if (parent !== undefined) {
    announced.set(parent.sessionId, await tellParent(transaction, parent));
    if (parent.wake) await engine.wake(parent.sessionId, transaction);
  }
  if (request.stopsWorker === true) await stopWork(transaction, claim.sessionId);
  if (request.needsWorker === true) await enqueueWork(transaction, notices, claim.sessionId);
  if (request.status === "idle") await wakeWaiters(transaction, engine, claim);
  if (request.wake === true) await engine.wake(claim.sessionId, transaction);
  for (const instant of new Set(alarms)) await engine.wakeAt(claim.sessionId, new Date(instant), transaction);
}

function announce(notices: NoticeBoard, sessionId: string, events: readonly LogEvent[] | null): void {
  const last = events?.at(-1);
  if (last !== undefined) notices.publish({ type: "appended", sessionId, seq: last.seq });
}

async function lockRow(transaction: Transaction<Tables>, sessionId: string): Promise<void> {
  await transaction.selectFrom("sessions").select("id").where("id", "=", sessionId).forUpdate().execute();
}

/** The session itself, or the one that this thread works for. */
async function lockServed(transaction: Transaction<Tables>, sessionId: string): Promise<void> {
  const row = await transaction
    .selectFrom("sessions")
    .select("parent_session_id")
    .where("id", "=", sessionId)
    .executeTakeFirst();
  await lockRow(transaction, row?.parent_session_id ?? sessionId);
}

/** A new thread begins with the parent's environment and a copy of its workspace as last captured. */
async function startThread(
  transaction: Transaction<Tables>,
  engine: Engine,
  claim: Claim,
  start: ThreadStart,
): Promise<readonly LogEvent[]> {
  if (start.agent === null) await lockRow(transaction, start.threadId);
  else await insertThread(transaction, claim, start, start.agent);
  const budget = Object.keys(start.budget).length === 0 ? null : JSON.stringify(start.budget);
  await transaction.updateTable("sessions").set({ budget }).where("id", "=", start.threadId).execute();
  const parent = await transaction
    .selectFrom("sessions")
    .select("untrusted")
    .where("id", "=", claim.sessionId)
    .executeTakeFirst();
  const events = await appendUnderLock(transaction, start.threadId, [
    recordEvent("x.delegated", {
      parent_id: claim.sessionId,
      tool_use_id: start.toolUseId,
      agent_name: start.agentName,
      // Its task is in the words of a session that has read what nobody vouches for.
      ...(parent?.untrusted === true ? { untrusted: true } : {}),
    }),
    publicEvent("user.message", { content: [{ type: "text", text: start.task }] }, { id: createId("event") }),
  ]);
  await engine.wake(start.threadId, transaction);
  return events;
}

async function insertThread(
  transaction: Transaction<Tables>,
  claim: Claim,
  start: ThreadStart,
  { agentId, version, agent }: NonNullable<ThreadStart["agent"]>,
): Promise<void> {
  await sql`
    insert into sessions (id, organization_id, agent, agent_id, agent_version, environment_id, title, parent_session_id,
                          created_by, user_id, visibility)
    select ${start.threadId}, organization_id, ${JSON.stringify(agent)}::jsonb, ${agentId}, ${version}, environment_id,
           ${start.agentName}, id, created_by, user_id, visibility
    from sessions where id = ${claim.sessionId}`.execute(transaction);
  await sql`
    insert into sandboxes (session_id, organization_id, provider, snapshot_id, snapshot_at)
    select ${start.threadId}, organization_id, provider, snapshot_id, snapshot_at
    from sandboxes where session_id = ${claim.sessionId} and snapshot_id is not null`.execute(transaction);
}

/** A call that was shown before, because the thread has waited for another one since, is not shown again. */
async function tellParent(
  transaction: Transaction<Tables>,
  parent: NonNullable<AppendRequest["parent"]>,
): Promise<readonly LogEvent[]> {
  const ids = parent.events.map((event) => event.id);
  const known = await transaction
    .selectFrom("session_events")
    .select("id")
    .where("session_id", "=", parent.sessionId)
    .where("id", "in", ids)
    .execute();
  const fresh = parent.events.filter((event) => !known.some((row) => row.id === event.id));
  return appendUnderLock(transaction, parent.sessionId, fresh);
}
