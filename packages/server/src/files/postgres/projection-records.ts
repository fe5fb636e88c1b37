/** Which revisions each session's sandbox holds, for whichever worker looks next. @module */
import { type Kysely, sql } from "kysely";
import { preparedMark } from "../../db/prepared.ts";
import type { FileOperation } from "../../db/tables/files.ts";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";
import { knownVersions } from "./known.ts";
import { headOf, type HeadRow, type PathKind, type StoredFile } from "./rows.ts";

export interface SandboxKey {
  readonly organizationId: string;
  readonly sessionId: string;
  readonly sandboxId: string;
  readonly generation: number;
}

/** What was laid into a sandbox before its last command, by the keys of the mounts. */
export interface ProjectionRecord {
  readonly revisions: ReadonlyMap<string, number>;
  readonly prefixes: ReadonlyMap<string, string>;
}

/** The record of a sandbox, and how far the mounts are by now. */
export interface Standing {
  /** Null when nothing was ever laid into this sandbox, so that no command has seen anything. */
  readonly record: ProjectionRecord | null;
  /** Newest revision of each mount asked for; absent: nobody has written to it. */
  readonly revisions: ReadonlyMap<string, number>;
}

/** A path that changed after a revision, as it is now, and what the session knows of it. */
export interface ProjectedChange {
  readonly path: string;
  readonly kind: PathKind;
  /** Null unless a file is there now. */
  readonly head: StoredFile | null;
  /** Of a file: its content, where few files changed and this one is small. */
  readonly bytes: Uint8Array | null;
  /** The version that the session has seen. */
  readonly known: number | null;
}

/** One change that a command made. */
export interface DoneChange {
  readonly path: string;
  readonly operation: FileOperation;
  readonly version: number;
  /** Null: it was new. */
  readonly baseVersion: number | null;
}

/** A version of a path with a certain content. */
export interface VersionOfContent {
  readonly path: string;
  readonly version: number;
  readonly sha256: string;
}

export interface ProjectionRecords {
  /** In one query: it is asked before and after every command. */
  stand(key: SandboxKey, mounts: readonly StoredMount[]): Promise<Standing>;
  /** What changed in a mount after a revision, each path once, in one query. */
  changes(
    owner: { readonly organizationId: string; readonly sessionId: string },
    mount: StoredMount,
    revision: number,
  ): Promise<readonly ProjectedChange[]>;
  /**
   * Written before a command sees what is recorded. Where there is a record already, the statement's commit does not
   * wait for the disk: with the database's last moment an older record comes back, and copies are recognised by their
   * content.
   */
  save(key: SandboxKey, record: ProjectionRecord): Promise<void>;
  /** Every version of these paths that has one of these contents. */
  versionsOfContents(
    organizationId: string,
    mount: StoredMount,
    paths: readonly string[],
    hashes: readonly string[],
  ): Promise<readonly VersionOfContent[]>;
  /** The versions that the session has seen, of all files of a mount. */
  known(sessionId: string, mount: StoredMount): Promise<ReadonlyMap<string, number>>;
  /** What a command of the session did to files, as it is on record: for a report that was lost with its worker. */
  doneBy(
    owner: { readonly organizationId: string; readonly sessionId: string },
    mounts: readonly StoredMount[],
    toolUseId: string,
  ): Promise<readonly DoneChange[]>;
  /** Those of the paths whose last change is by this session. */
  endedBy(
    owner: { readonly organizationId: string; readonly sessionId: string },
    mount: StoredMount,
    paths: readonly string[],
  ): Promise<ReadonlySet<string>>;
  /** Names of people by their identifiers. */
  namesOf(organizationId: string, userIds: readonly (string | null)[]): Promise<ReadonlyMap<string, string>>;
}

interface StandingRow {
  readonly recorded: Readonly<Record<string, number>> | null;
  readonly places: Readonly<Record<string, string>> | null;
  readonly revisions: Readonly<Record<string, number>>;
}

export function createProjectionRecords(database: Kysely<Tables>): ProjectionRecords {
  return {
    async stand({ organizationId, sessionId, sandboxId, generation }, mounts) {
      const keys = mounts.map((mount) => mount.key);
      const { rows } = await sql<StandingRow>`${sql.raw(preparedMark)}
        select record.revisions as recorded, record.places, (
          select coalesce(jsonb_object_agg(mount, revision), '{}') from file_mounts
          where organization_id = ${organizationId} and mount = any(${keys}::text[])) as revisions
        from (select) one left join file_projections record
          on session_id = ${sessionId} and sandbox_id = ${sandboxId} and generation = ${generation}`.execute(database);
      const { recorded, places, revisions } = rows[0] ?? { recorded: null, places: null, revisions: {} };
      const record = recorded === null ? null : { revisions: mapOf(recorded), prefixes: mapOf(places ?? {}) };
      return { record, revisions: mapOf(revisions) };
    },
    async changes({ organizationId, sessionId }, mount, revision) {
      const { rows } = await sql<ChangeRow>`${sql.raw(preparedMark)}
        select changed.path as changed_path, entry.*, seen.version as known,
          case when count(*) over () <= ${fewChanges} and entry.size_bytes <= ${smallBytes} then blob.content end as content
        from (${changedPaths(organizationId, mount, revision)}) changed
        left join lateral (select * from file_entries where organization_id = ${organizationId}
          and mount = ${mount.key} and path = changed.path limit 1) entry on true
        left join lateral (select version from file_reads where session_id = ${sessionId} and mount = ${mount.key}
          and path = changed.path limit 1) seen on true
        left join lateral (select content from file_blobs where organization_id = ${organizationId}
          and sha256 = entry.sha256 limit 1) blob on true`.execute(database);
      return rows.map((row) => changeOf(mount, row));
    },
    save: (key, record) => saveRecord(database, key, record),
    async versionsOfContents(organizationId, mount, paths, hashes) {
      if (paths.length === 0) return [];
      const stored = paths.map((path) => pathInMount(mount, path));
      const { rows } = await sql<VersionOfContent>`
        select wanted.path, found.version, found.sha256 from unnest(${stored}::text[]) wanted (path)
        cross join lateral (select version, sha256 from file_versions where organization_id = ${organizationId}
          and mount = ${mount.key} and path = wanted.path order by version) found
        where found.sha256 = any(${hashes}::text[])`.execute(database);
      return rows.map((row) => ({ ...row, path: visiblePath(mount, row.path) }));
    },
    known: (sessionId, mount) => knownVersions(database, sessionId, mount),
    doneBy: (owner, mounts, toolUseId) => findDone(database, owner, mounts, toolUseId),
    endedBy: (owner, mount, paths) => findEnded(database, owner, mount, paths),
    namesOf: (organizationId, userIds) => findNames(database, organizationId, userIds),
  };
}

/**
 * Each path that changed after a revision, once. The order and the limit, which is none, are there for the planner: in
 * the order of paths it would read the whole history.
 */
export function changedPaths(organizationId: string, mount: StoredMount, revision: number) {
  return sql<{ path: string }>`
    select distinct path from (
      select path from file_versions where organization_id = ${organizationId} and mount = ${mount.key}
        and revision > ${revision} order by revision desc, ordinal desc limit 1000000000) recent`;
}

interface ChangeRow extends HeadRow {
  readonly changed_path: string;
  readonly kind: "file" | "directory" | null;
  readonly known: number | null;
  readonly content: Buffer | null;
}

/** Contents come with the changes where so few changed, of at most so many bytes each. */
const [fewChanges, smallBytes] = [50, 65_536];

function changeOf(mount: StoredMount, row: ChangeRow): ProjectedChange {
  const [head = null] = row.kind === "file" ? headOf(mount, row) : [];
  const path = visiblePath(mount, row.changed_path);
  return { path, kind: row.kind ?? "absent", head, bytes: row.content, known: row.known };
}

function mapOf<Value>(record: Readonly<Record<string, Value>>): Map<string, Value> {
  return new Map(Object.entries(record));
}

async function saveRecord(
  database: Kysely<Tables>,
  { organizationId, sessionId, sandboxId, generation }: SandboxKey,
  { revisions, prefixes }: ProjectionRecord,
): Promise<void> {
  const [held, places] = [revisions, prefixes].map((map) => JSON.stringify(Object.fromEntries(map)));
  const { numAffectedRows } = await sql`${sql.raw(preparedMark)}
    update file_projections set revisions = ${held}::jsonb, places = ${places}::jsonb, updated_at = now()
    where session_id = ${sessionId} and sandbox_id = ${sandboxId} and generation = ${generation}
      and set_config('synchronous_commit', 'off', true) is not null`.execute(database);
  if (numAffectedRows === 1n) return;
  // The first record of a sandbox waits for the disk: without it, what a command has changed would be overwritten.
  await sql`
    insert into file_projections (session_id, organization_id, sandbox_id, generation, revisions, places)
    values (${sessionId}, ${organizationId}, ${sandboxId}, ${generation}, ${held}::jsonb, ${places}::jsonb)
    on conflict (session_id) do update set sandbox_id = excluded.sandbox_id, generation = excluded.generation,
      revisions = excluded.revisions, places = excluded.places, updated_at = now()`.execute(database);
}

async function findEnded(
  database: Kysely<Tables>,
  { organizationId, sessionId }: { readonly organizationId: string; readonly sessionId: string },
  mount: StoredMount,
  paths: readonly string[],
): Promise<ReadonlySet<string>> {
  if (paths.length === 0) return new Set();
  const stored = paths.map((path) => pathInMount(mount, path));
  const { rows } = await sql<{ path: string; session_id: string | null }>`
    select wanted.path, last.session_id from unnest(${stored}::text[]) wanted (path)
    cross join lateral (select session_id from file_versions where organization_id = ${organizationId}
      and mount = ${mount.key} and path = wanted.path order by version desc limit 1) last`.execute(database);
  return new Set(rows.flatMap((row) => (row.session_id === sessionId ? [visiblePath(mount, row.path)] : [])));
}

async function findNames(
  database: Kysely<Tables>,
  organizationId: string,
  userIds: readonly (string | null)[],
): Promise<ReadonlyMap<string, string>> {
  const ids = [...new Set(userIds.filter((id) => id !== null))];
  if (ids.length === 0) return new Map();
  const rows = await database
    .selectFrom("users")
    .select(["id", "name"])
    .where("organization_id", "=", organizationId)
    .where("id", "in", ids)
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

async function findDone(
  database: Kysely<Tables>,
  { organizationId, sessionId }: { readonly organizationId: string; readonly sessionId: string },
  mounts: readonly StoredMount[],
  toolUseId: string,
): Promise<DoneChange[]> {
  const rows = await database
    .selectFrom("file_versions")
    .select(["mount", "path", "operation", "version", "base_version"])
    .where("organization_id", "=", organizationId)
    .where("tool_use_id", "=", toolUseId)
    .where("session_id", "=", sessionId)
    .where("via", "=", "bash")
    .orderBy("mount")
    .orderBy("revision")
    .orderBy("ordinal")
    .execute();
  return rows.flatMap(({ mount: key, path, operation, version, base_version }) => {
    const mount = mounts.find((candidate) => candidate.key === key);
    if (mount === undefined) return [];
    return [{ path: visiblePath(mount, path), operation, version, baseVersion: base_version }];
  });
}
