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
  /** The session has read what nobody vouches for. */
  readonly untrusted: boolean;
  /** Some file of its mounts is marked as untrusted. */
  readonly holdsUntrusted: boolean;
}

/**
 * As of now, in one query; nothing for a session that does not exist.
 * @example (await readSessionView(database, { organizationId, sessionId })).mounts.map((mount) => mount.prefix)
 */
export async function readSessionView(
  database: Kysely<Tables>,
  { organizationId, sessionId }: MountOwner,
): Promise<SessionView> {
  const { rows } = await sql<ViewRow>`${sql.raw(preparedMark)}
    select user_id, visibility = 'private' as private, untrusted, exists (
      select from file_entries entry where entry.organization_id = sessions.organization_id and entry.untrusted
        and (entry.mount in ('skills', 'memory/org')
          or (visibility = 'private' and entry.mount = 'memory/user/' || sessions.user_id))) as holds_untrusted
    from sessions where id = ${sessionId} and organization_id = ${organizationId}`.execute(database);
  const [session] = rows;
  if (session === undefined) return nothing;
  const { user_id: userId, untrusted, holds_untrusted: holdsUntrusted } = session;
  const personal = userId !== null && session.private ? [personalMemoryMount(userId)] : [];
  return { userId, mounts: [...storedMounts, ...personal], untrusted, holdsUntrusted };
}

const nothing: SessionView = { userId: null, mounts: [], untrusted: false, holdsUntrusted: false };

interface ViewRow {
  readonly user_id: string | null;
  readonly private: boolean;
  readonly untrusted: boolean;
  readonly holds_untrusted: boolean;
}
