/**
 * Tokens of work items: a worker serves one session with one, so that it needs no key that opens others. Made when the
 * item is handed out, prolonged by each heartbeat, gone when the item is stopped. Stored as a hash, like keys.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Principal } from "./principal.ts";

const prefix = "exow_";
const tokenPattern = /^exow_[\w-]{43}$/;

/** How much longer than the lease a token works, in seconds: a worker that comes late must learn that it is late. */
const tokenGraceSeconds = 600;

export function isWorkToken(text: string): boolean {
  return tokenPattern.test(text);
}

/** The answer is the only copy there will ever be. */
export async function createWorkToken(
  database: Kysely<Tables>,
  {
    organizationId,
    workId,
    attempt,
  }: { readonly organizationId: string; readonly workId: string; readonly attempt: number },
): Promise<string> {
  const token = `${prefix}${randomBytes(32).toString("base64url")}`;
  await sql`
    insert into work_tokens (token_hash, organization_id, work_id, attempt, expires_at)
    values (${hashToken(token)}, ${organizationId}, ${workId}, ${attempt}, now() + make_interval(secs => ${tokenGraceSeconds}))
  `.execute(database);
  return token;
}

/**
 * Whose token this is; null when it is unknown, has run out, or its work has ended. One of an earlier handing out is
 * still somebody's, who is told that it is too late.
 */
export async function authenticateWorkToken(database: Kysely<Tables>, token: string): Promise<Principal | null> {
  if (!isWorkToken(token)) return null;
  const row = await database
    .selectFrom("work_tokens")
    .innerJoin("work_items", "work_items.id", "work_tokens.work_id")
    .select(["work_items.id", "work_items.organization_id", "environment_id", "session_id"])
    .select(sql<boolean>`work_tokens.attempt = work_items.attempt`.as("current"))
    .where("token_hash", "=", hashToken(token))
    .where("expires_at", ">", sql<Date>`now()`)
    .where("state", "<>", "stopped")
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    organizationId: row.organization_id,
    apiKeyId: row.id,
    scopes: [],
    session: {
      sessionId: row.session_id,
      environmentId: row.environment_id,
      workId: row.id,
      current: row.current,
    },
  };
}

function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** With the lease, of `seconds` from now. */
export async function prolongWorkTokens(
  database: Kysely<Tables>,
  workId: string,
  attempt: number,
  seconds: number,
): Promise<void> {
  await sql`
    update work_tokens set expires_at = now() + make_interval(secs => ${seconds + tokenGraceSeconds})
    where work_id = ${workId} and attempt = ${attempt}`.execute(database);
}

export async function endWorkTokens(database: Kysely<Tables>, workId: string): Promise<void> {
  await database.deleteFrom("work_tokens").where("work_id", "=", workId).execute();
}
