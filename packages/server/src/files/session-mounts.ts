/**
 * Which stored files a session sees: a function of whose session it is, and whether others see it. Asked anew for each
 * tool call, so that a session that is shared, or loses a store, loses those files with the next one.
 * @module
 */
import { type Kysely, sql } from "kysely";
import { preparedMark } from "../db/prepared.ts";
import type { Tables } from "../db/tables.ts";
import { memoryStoreMount, personalMemoryMount, type StoredMount, storedMounts } from "./mounts.ts";

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
    select session.user_id, session.visibility = 'private' as private, session.untrusted, attached.stores,
      exists (select from file_entries entry where entry.organization_id = session.organization_id and entry.untrusted
        and (entry.mount in ('skills', 'memory/org') or attached.mounts @> jsonb_build_array(entry.mount)
          or (session.visibility = 'private' and entry.mount = 'memory/user/' || session.user_id))) as holds_untrusted,
      exists (select from sandbox_leases lease where lease.session_id = session.id and lease.ended_at is null) as background
    from sessions session
    cross join lateral (
      select coalesce(jsonb_agg(store.mount order by resource.position), '[]') as mounts,
        coalesce(jsonb_agg(jsonb_build_object('mount', store.mount, 'name', resource.directory, 'access',
          case when store.archived_at is null then resource.access else 'read_only' end)
          order by resource.position), '[]') as stores
      from session_resources resource
      join memory_stores store
        on store.id = resource.memory_store_id and store.organization_id = resource.organization_id
      where resource.session_id = coalesce(session.parent_session_id, session.id) and resource.removed_at is null
    ) attached
    where session.id = ${sessionId} and session.organization_id = ${organizationId}`.execute(database);
  const [session] = rows;
  if (session === undefined) return nothing;
  const { user_id: userId, untrusted, holds_untrusted: holdsUntrusted, background } = session;
  const personal = userId !== null && session.private ? [personalMemoryMount(userId)] : [];
  const attached = session.stores.map(({ mount, name, access }) => memoryStoreMount(mount, `/memory/${name}`, access));
  return { userId, mounts: [...storedMounts, ...personal, ...attached], untrusted, holdsUntrusted, background };
}

const nothing: SessionView = { userId: null, mounts: [], untrusted: false, holdsUntrusted: false, background: false };

interface ViewRow {
  readonly user_id: string | null;
  readonly private: boolean;
  /** As `attachedStores` lists them, in its order. */
  readonly stores: readonly {
    readonly mount: string;
    readonly name: string;
    readonly access: StoredMount["access"];
  }[];
  readonly untrusted: boolean;
  readonly holds_untrusted: boolean;
  readonly background: boolean;
}
