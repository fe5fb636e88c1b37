/**
 * The log's sole writer. Sequence numbers are allocated under the session's row lock, so a log has no gaps and its
 * order is its commit order: whoever has read up to `seq` has missed nothing before it.
 * @module
 */
import { type Kysely, sql } from "kysely";
import { preparedMark } from "../db/prepared.ts";
import { storableJson } from "../db/storable-json.ts";
import type { SessionStatus, Tables } from "../db/tables.ts";
import { TurnRefusedError } from "../engine/engine.ts";
import { loopProtocolVersion } from "../loop/protocol-version.ts";
import { chargeOf } from "./charge.ts";
import type { LogEvent, NewEvent } from "./event.ts";
import { ledgerRows } from "./ledger.ts";
import { bringsUntrusted } from "./reduce/untrusted.ts";

/** The right to append as the session's driver. A later claim makes this one worthless. */
export interface Claim {
  readonly sessionId: string;
  readonly organizationId: string;
  readonly epoch: number;
  /** Who created the session; absent or null where nobody knows. */
  readonly createdBy?: string | null;
}

/** Another driver has taken over, or the session is gone. The turn stops; nothing was written. */
export class ClaimLostError extends Error {
  override readonly name = "ClaimLostError";
}

export interface AppendOptions {
  /** Written to the session's row in the same statement. */
  readonly status?: SessionStatus;
  /** Append only if the log still ends at this number: input that was admitted meanwhile makes the append a no-op. */
  readonly onlyAt?: number;
  /** Written in the same statement. */
  readonly audit?: readonly AuditEntry[];
  /** The status that is given is a rest until a budget is raised. */
  readonly heldByBudget?: boolean;
  /** The caller charges the ledger itself, as the last statement of its transaction. */
  readonly chargedLater?: boolean;
}

/** A decision of policy, as the audit log keeps it. The session is its principal. */
export interface AuditEntry {
  readonly action: string;
  readonly resource: string;
  readonly decision: "allow" | "ask" | "deny";
  readonly reasons: readonly string[];
  readonly digest: string;
}

interface EventRow {
  seq: number;
  id: string;
  type: string;
  data: Record<string, unknown> | null;
  record: Record<string, unknown> | null;
  created_at: Date;
}

function toEvent(row: EventRow): LogEvent {
  return {
    seq: Number(row.seq),
    id: row.id,
    type: row.type,
    data: row.data,
    record: row.record,
    createdAt: row.created_at,
  };
}

function eventColumns(events: readonly NewEvent[]) {
  const json = (value: unknown) => (value === null ? null : storableJson(value));
  return sql`unnest(
    ${events.map((event) => event.id)}::text[],
    ${events.map((event) => event.type)}::text[],
    ${events.map((event) => json(event.data))}::text[],
    ${events.map((event) => json(event.record))}::text[]
  ) with ordinality as new_event(id, type, data, record, position)`;
}

/** Rows of the audit log, from the session that an append has updated. Nothing where there are none. */
function auditRows(audit: readonly AuditEntry[]) {
  if (audit.length === 0) return sql``;
  return sql`, audited as (
      insert into audit_log (organization_id, session_id, principal, action, resource, decision, reasons, digest)
      select session.organization_id, session.id, jsonb_build_object('type', 'session', 'id', session.id),
             entry.action, entry.resource, entry.decision, entry.reasons::jsonb, entry.digest
      from session, unnest(
        ${audit.map((entry) => entry.action)}::text[],
        ${audit.map((entry) => entry.resource)}::text[],
        ${audit.map((entry) => entry.decision)}::text[],
        ${audit.map((entry) => storableJson(entry.reasons))}::text[],
        ${audit.map((entry) => entry.digest)}::text[]
      ) with ordinality as entry(action, resource, decision, reasons, digest, position)
      order by entry.position
    )`;
}

/**
 * Appends as the driver, in one statement: the epoch is checked, numbers are allocated and rows are written, or nothing
 * is. Returns the stored events, or null when `onlyAt` was given and the log has grown.
 * @throws ClaimLostError when the epoch is not the session's any more.
 */
export async function appendAsDriver(
  database: Kysely<Tables>,
  claim: Claim,
  events: readonly NewEvent[],
  options: AppendOptions = {},
): Promise<LogEvent[] | null> {
  const charge = options.chargedLater === true ? null : chargeOf(events);
  const first = sql`session.head_seq - ${events.length - 1}`;
  const charged = charge === null ? sql`` : sql`, charged as (${ledgerRows(claim.sessionId, charge, first)})`;
  const result = await sql<EventRow>`${sql.raw(preparedMark)}
    with session as (
      update sessions
      set head_seq = head_seq + ${events.length}, updated_at = now(), status = coalesce(${options.status ?? null}, status),
          held_by_budget = case when ${options.status ?? null}::text is null then held_by_budget
                           else ${options.heldByBudget === true}::boolean end,
          untrusted = untrusted or ${events.some(bringsUntrusted)}::boolean
      where id = ${claim.sessionId} and epoch = ${claim.epoch}
        and (${options.onlyAt ?? null}::bigint is null or head_seq = ${options.onlyAt ?? null}::bigint)
      returning id, organization_id, epoch, head_seq, created_by, parent_session_id
    )${auditRows(options.audit ?? [])}${charged}
    insert into session_events (session_id, seq, organization_id, id, type, data, record, epoch)
    select session.id, session.head_seq - ${events.length} + new_event.position, session.organization_id,
           new_event.id, new_event.type, new_event.data::jsonb, new_event.record::jsonb, session.epoch
    from session, ${eventColumns(events)}
    order by new_event.position
    returning seq, id, type, data, record, created_at`.execute(database);
  if (result.rows.length === events.length) return result.rows.map(toEvent).sort((a, b) => a.seq - b.seq);
  if (options.onlyAt !== undefined && (await holdsClaim(database, claim))) return null;
  throw new ClaimLostError(`session ${claim.sessionId}: epoch ${claim.epoch} is not current`);
}

async function holdsClaim(database: Kysely<Tables>, claim: Claim): Promise<boolean> {
  const row = await database
    .selectFrom("sessions")
    .select("epoch")
    .where("id", "=", claim.sessionId)
    .executeTakeFirst();
  return row !== undefined && Number(row.epoch) === claim.epoch;
}

/**
 * Appends without a claim, for input that any process may admit. The caller holds the session's row lock and its
 * transaction; `fence` also takes the claim away from a running driver.
 */
export async function appendUnderLock(
  transaction: Kysely<Tables>,
  sessionId: string,
  events: readonly NewEvent[],
  options: { readonly status?: SessionStatus; readonly fence?: boolean } = {},
): Promise<LogEvent[]> {
  const result = await sql<EventRow>`
    with session as (
      update sessions
      set head_seq = head_seq + ${events.length}, updated_at = now(), status = coalesce(${options.status ?? null}, status),
          epoch = epoch + ${options.fence === true ? 1 : 0},
          untrusted = untrusted or ${events.some(bringsUntrusted)}::boolean
      where id = ${sessionId}
      returning id, organization_id, epoch, head_seq
    )
    insert into session_events (session_id, seq, organization_id, id, type, data, record, epoch)
    select session.id, session.head_seq - ${events.length} + new_event.position, session.organization_id,
           new_event.id, new_event.type, new_event.data::jsonb, new_event.record::jsonb, session.epoch
    from session, ${eventColumns(events)}
    order by new_event.position
    returning seq, id, type, data, record, created_at`.execute(transaction);
  return result.rows.map(toEvent).sort((a, b) => a.seq - b.seq);
}

/** All events after `seq`, in order. */
export async function readLog(database: Kysely<Tables>, sessionId: string, after: number): Promise<LogEvent[]> {
  const rows = await database
    .selectFrom("session_events")
    .select(["seq", "id", "type", "data", "record", "created_at"])
    .where("session_id", "=", sessionId)
    .where("seq", ">", after)
    .orderBy("seq")
    .execute();
  return rows.map(toEvent);
}

/** A worker of a newer version has driven the session, and its log may say what this one does not understand. */
export class NewerProtocolError extends TurnRefusedError {
  override readonly name = "NewerProtocolError";
}

/**
 * Takes the session over: increments its epoch, so that every append of an earlier driver fails from now on. Waits for
 * the row lock, and so for input that is being admitted. Null when the session is gone, archived or ended.
 * @throws NewerProtocolError when a newer version of the loop has driven it; nothing was changed.
 */
export async function claimSession(
  database: Kysely<Tables>,
  sessionId: string,
  protocolVersion: number = loopProtocolVersion,
): Promise<Claim | null> {
  const row = await database
    .updateTable("sessions")
    .set((expression) => ({ epoch: expression("epoch", "+", 1), protocol_version: protocolVersion }))
    .where("id", "=", sessionId)
    .where("archived_at", "is", null)
    .where("status", "!=", "terminated")
    .where("protocol_version", "<=", protocolVersion)
    .returning(["organization_id", "epoch", "created_by"])
    .executeTakeFirst();
  if (row !== undefined) {
    const { organization_id: organizationId, created_by: createdBy } = row;
    return { sessionId, organizationId, epoch: Number(row.epoch), createdBy };
  }
  const newer = await database
    .selectFrom("sessions")
    .select("protocol_version")
    .where("id", "=", sessionId)
    .where("archived_at", "is", null)
    .where("status", "!=", "terminated")
    .where("protocol_version", ">", protocolVersion)
    .executeTakeFirst();
  if (newer === undefined) return null;
  throw new NewerProtocolError(
    `session ${sessionId} was driven by version ${newer.protocol_version} of the loop, this worker has ${protocolVersion}`,
  );
}
