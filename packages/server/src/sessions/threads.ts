/** A session's threads, as the API asks for them: its own conversation, and those of the agents that work for it. @module */
import { primaryThreadId } from "@exoloop/protocol/threads";
import { type Kysely, type Selectable, sql } from "kysely";
import type { SessionTable, Tables } from "../db/tables.ts";
import { findOpenSession } from "./access.ts";
import { archiveThread, type EndDependencies, threadNotFound } from "./end-session.ts";
import { Problem } from "../errors.ts";
import { usageSince } from "../loop/budgets.ts";
import { noFigures, readFigures } from "./figures.ts";
import { readHistory } from "./history.ts";
import type { Principal, ThreadRow, ThreadService } from "./port.ts";
import type { Usage } from "./state.ts";

export function createThreadService(dependencies: EndDependencies): ThreadService {
  const { database } = dependencies;
  const service: ThreadService = {
    async list(principal, sessionId, { after, limit, statuses }) {
      await findRows(database, principal, sessionId, null);
      let select = rowsOf(database, sessionId)
        .orderBy("created_at")
        .orderBy("id")
        .limit(limit + 1)
        .offset(after);
      if (statuses !== undefined) select = select.where("status", "in", [...statuses]);
      const rows = await select.execute();
      return { rows: await toThreads(database, sessionId, rows.slice(0, limit)), more: rows.length > limit };
    },
    async get(principal, sessionId, threadId) {
      const row = await findRows(database, principal, sessionId, threadId);
      const [thread] = await toThreads(database, sessionId, [row]);
      if (thread === undefined) throw threadNotFound();
      return thread;
    },
    async archive(principal, sessionId, threadId) {
      const row = await findRows(database, principal, sessionId, threadId);
      if (row.id === sessionId) {
        throw new Problem(
          "invalid_request",
          "The primary thread is the session itself and ends with it.",
          "Archive the session with POST /v1/sessions/{session_id}/archive.",
        );
      }
      await archiveThread(dependencies, principal, sessionId, threadId);
      return service.get(principal, sessionId, threadId);
    },
    async log(principal, sessionId, threadId) {
      const row = await findRows(database, principal, sessionId, threadId);
      return { logId: row.id, agentName: row.id === sessionId ? null : nameOf(row) };
    },
    async head(principal, sessionId, threadId) {
      const row = await findRows(database, principal, sessionId, threadId);
      return { seq: Number(row.head_seq), status: row.status, archived: row.archived_at !== null };
    },
    async events(principal, sessionId, threadId, query) {
      const row = await findRows(database, principal, sessionId, threadId);
      return readHistory(database, row.id, query);
    },
  };
  return service;
}

/** The primary thread's row is the session's own, which was there before all others. */
function rowsOf(database: Kysely<Tables>, sessionId: string) {
  return database
    .selectFrom("sessions")
    .selectAll()
    .where((where) => where.or([where("id", "=", sessionId), where("parent_session_id", "=", sessionId)]));
}

/** The thread's row, or the session's where no thread is named. @throws Problem `not_found` */
async function findRows(
  database: Kysely<Tables>,
  principal: Principal,
  sessionId: string,
  threadId: string | null,
): Promise<Selectable<SessionTable>> {
  const session = await findOpenSession(database, principal, sessionId, "drive");
  if (threadId === null || threadId === primaryThreadId(sessionId)) return session;
  const thread = await database
    .selectFrom("sessions")
    .selectAll()
    .where("id", "=", threadId)
    .where("parent_session_id", "=", sessionId)
    .executeTakeFirst();
  if (thread === undefined) throw threadNotFound();
  return thread;
}

function nameOf(row: Selectable<SessionTable>): string {
  return (row.agent as ThreadRow["agent"]).name;
}

async function toThreads(
  database: Kysely<Tables>,
  sessionId: string,
  rows: readonly Selectable<SessionTable>[],
): Promise<readonly ThreadRow[]> {
  const ids = rows.map((row) => row.id);
  const [figures, begun, settled] = await Promise.all([
    readFigures(database, ids),
    readBeginnings(database, ids),
    readSettled(database, sessionId),
  ]);
  return rows.map((row): ThreadRow => {
    const figure = figures.get(row.id) ?? noFigures;
    // What the session used holds what its threads did; a thread shows its own.
    const usage = row.id === sessionId ? usageSince(figure, settled) : figure;
    const end = row.archived_at ?? new Date();
    const { ran, rested } = begun.get(row.id) ?? { ran: false, rested: false };
    const durationSeconds = Math.max(0, end.getTime() - row.created_at.getTime()) / 1000;
    // Written by createSession or by the loop, from a resolved agent.
    const { multiagent: _multiagent, ...agent } = row.agent as ThreadRow["agent"] & { readonly multiagent?: unknown };
    return {
      id: row.id === sessionId ? primaryThreadId(sessionId) : row.id,
      sessionId,
      agent,
      parentThreadId: row.id === sessionId ? null : primaryThreadId(sessionId),
      status: row.status,
      stats: ran ? { activeSeconds: usage.runningMs / 1_000, durationSeconds } : null,
      usage: rested ? usage : null,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      archivedAt: row.archived_at,
    };
  });
}

/** Whether each has run, and has come to rest. */
async function readBeginnings(database: Kysely<Tables>, ids: readonly string[]) {
  const { rows } = await sql<{ session_id: string; ran: boolean; rested: boolean }>`
    select session_id, true as ran, bool_or(type = 'session.status_idle') as rested
    from session_events
    where session_id = any(${ids}::text[]) and type in ('session.status_running', 'session.status_idle',
      'session.status_rescheduled', 'session.status_terminated')
    group by session_id`.execute(database);
  return new Map(rows.map((row) => [row.session_id, row]));
}

/** What the session's log says that its threads have used. */
async function readSettled(database: Kysely<Tables>, sessionId: string): Promise<Usage> {
  const sum = (name: string) => sql<number>`coalesce(sum((record->>${name})::float8), 0)`;
  const { rows } = await sql<Omit<Usage, "runningMs" | "runningSince">>`
    select ${sum("input_tokens")} as "input", ${sum("output_tokens")} as "output",
      ${sum("cache_read_tokens")} as "cacheRead", ${sum("cache_write_tokens")} as "cacheWrite",
      ${sum("cost_micros")} as "costMicros", ${sum("steps")} as "steps", ${sum("sandbox_awake_ms")} as "sandboxAwakeMs"
    from session_events where session_id = ${sessionId} and type = 'x.thread_settled'`.execute(database);
  return { ...noFigures, ...rows[0] };
}
