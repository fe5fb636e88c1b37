/**
 * Who may see and drive a session: the one place where that is decided. A private session is its person's, and of the
 * key that made it for that person; others cannot tell it from one that does not exist. An admin's key sees that it is
 * there and what it costs, and may end it; not what is in it.
 * @module
 */
import { type Kysely, type RawBuilder, type Selectable, sql, type SqlBool, type Transaction } from "kysely";
import type { SessionTable, Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import type { Principal } from "../orgs/principal.ts";
import { sessionNotFound } from "./locked-session.ts";

/** `drive`: its content, and all that is done with it. `oversee`: that it exists, its figures, its end. */
export type SessionUse = "drive" | "oversee";

type AccessColumns = Pick<Selectable<SessionTable>, "id" | "organization_id" | "user_id" | "visibility" | "created_by">;

/** @example mayUse(principal, row, "drive") */
export function mayUse(principal: Principal, row: AccessColumns, use: SessionUse): boolean {
  const { organizationId, apiKeyId, userId = null, scopes } = principal;
  if (row.organization_id !== organizationId) return false;
  if (row.visibility === "shared" || (userId !== null && row.user_id === userId)) return true;
  // The token of one piece of work stands for its session, and for nothing else.
  if (principal.session !== undefined) return principal.session.sessionId === row.id;
  return row.created_by === apiKeyId || (use === "oversee" && scopes.includes("admin"));
}

/** The same as {@link mayUse}, as a condition of a query that names the table `sessions`. */
export function openTo(principal: Principal, use: SessionUse): RawBuilder<SqlBool> {
  const { organizationId, apiKeyId, userId = null, scopes } = principal;
  const oversees = use === "oversee" && scopes.includes("admin");
  const served = principal.session?.sessionId ?? null;
  return sql<SqlBool>`(sessions.organization_id = ${organizationId} and (sessions.visibility = 'shared'
    or sessions.user_id = ${userId}::text or sessions.created_by = ${apiKeyId} or sessions.id = ${served}::text or ${oversees}))`;
}

/** @throws Problem `not_found`; `forbidden` where the caller may know that it is there */
export async function findOpenSession(
  database: Kysely<Tables>,
  principal: Principal,
  sessionId: string,
  use: SessionUse,
): Promise<Selectable<SessionTable>> {
  return judge(await ofOrganization(database, principal, sessionId).executeTakeFirst(), principal, sessionId, use);
}

/** Locks the session's row until the transaction ends. @throws Problem as {@link findOpenSession} */
export async function lockOpenSession(
  transaction: Transaction<Tables>,
  principal: Principal,
  sessionId: string,
  use: SessionUse,
): Promise<Selectable<SessionTable>> {
  const row = await ofOrganization(transaction, principal, sessionId).forUpdate().executeTakeFirst();
  return judge(row, principal, sessionId, use);
}

function ofOrganization(database: Kysely<Tables>, { organizationId }: Principal, sessionId: string) {
  return database
    .selectFrom("sessions")
    .selectAll()
    .where("id", "=", sessionId)
    .where("organization_id", "=", organizationId)
    .where("parent_session_id", "is", null);
}

function judge(
  row: Selectable<SessionTable> | undefined,
  principal: Principal,
  sessionId: string,
  use: SessionUse,
): Selectable<SessionTable> {
  if (row === undefined || !mayUse(principal, row, "oversee")) throw sessionNotFound(sessionId);
  if (mayUse(principal, row, use)) return row;
  throw new Problem(
    "forbidden",
    `The session ${sessionId} is private to ${row.user_id}.`,
    "With an admin's key it can be retrieved, archived and deleted; for anything else use a key of that person.",
  );
}
