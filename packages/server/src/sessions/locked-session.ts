/** A session's row under its lock: what every change through the API begins with. @module */
import type { Selectable, Transaction } from "kysely";
import type { SessionTable, Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";

/**
 * Locks the session's row until the transaction ends.
 * @throws Problem `not_found` also for a thread, and for a session of another organization: they cannot be told apart.
 */
export async function lockSession(
  transaction: Transaction<Tables>,
  organizationId: string,
  sessionId: string,
): Promise<Selectable<SessionTable>> {
  const row = await transaction
    .selectFrom("sessions")
    .selectAll()
    .where("id", "=", sessionId)
    .where("organization_id", "=", organizationId)
    .where("parent_session_id", "is", null)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw sessionNotFound(sessionId);
  return row;
}

/** @throws Problem `session_archived` */
export function refuseArchived(row: Pick<Selectable<SessionTable>, "id" | "archived_at" | "status">): void {
  if (row.archived_at === null && row.status !== "terminated") return;
  throw new Problem(
    "session_archived",
    `The session ${row.id} is archived and takes no input.`,
    "Create a new session.",
  );
}

export function sessionNotFound(sessionId: string): Problem {
  const shown = /^[\w-]{1,64}$/.test(sessionId) ? sessionId : "given";
  return new Problem("not_found", `There is no session with the id ${shown}.`, "List sessions with GET /v1/sessions.");
}
