/**
 * Which stored files a session sees: a function of whose session it is, and whether others see it. Asked anew for each
 * tool call, so that a session that is shared, or loses a store, loses those files with the next one.
 * @module
 */
import { type Kysely, sql } from "kysely";
import { preparedMark } from "../db/prepared.ts";
import type { Tables } from "../db/tables.ts";
import { personalMemoryMount, type StoredMount, storedMounts } from "./mounts.ts";

interface MountOwner {
  readonly organizationId: string;
  readonly sessionId: string;
}

/** Who a session works for, and what it sees. */
export interface SessionView {
  /** Whose session it is; null: nobody's in particular. */
  readonly userId: string | null;
  readonly mounts: readonly StoredMount[];
  /** Commands of it run in the background, and may change files at any time. */
  readonly background: boolean;
}

/**
 * As of now, in one query; nothing for a session that does not exist.
 * @example (await readSessionView(database, { organizationId, sessionId })).mounts.map((mount) => mount.prefix)
 */
export async function readSessionView(
  database: Kysely<Tables>,
  { organizationId, sessionId }: MountOwner,
): Promise<SessionView> {
  const { rows } = await sql<{ user_id: string | null; private: boolean; background: boolean }>`${sql.raw(preparedMark)}
    select user_id, visibility = 'private' as private, exists (
      select from sandbox_leases where session_id = sessions.id and ended_at is null) as background
    from sessions
    where id = ${sessionId} and organization_id = ${organizationId}`.execute(database);
  const [session] = rows;
  if (session === undefined) return { userId: null, mounts: [], background: false };
  const { user_id: userId } = session;
  const personal = userId !== null && session.private ? [personalMemoryMount(userId)] : [];
  return { userId, mounts: [...storedMounts, ...personal], background: session.background };
}
