/**
 * The collector: deletes snapshots that nobody needs any more, then blobs that no snapshot and no uploaded file names. A blob is spared for
 * its first hour, in which the snapshot that it belongs to is written down. Whoever writes one down holds the
 * organization's lock and looks again for what it found in the store, so nothing is deleted under it. Stopped anywhere,
 * the collector has deleted less, and goes on the next time.
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { BlobStore, ListedBlob } from "../../blobs/store.ts";
import type { Tables } from "../../db/tables.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { takeCollectionLock } from "./collection-lock.ts";

export interface CollectorDependencies {
  readonly database: Kysely<Tables>;
  readonly blobs: BlobStore;
  /** Milliseconds since the epoch; for tests. */
  readonly now?: () => number;
}

export interface Collected {
  readonly snapshots: number;
  readonly blobs: number;
}

/** How many snapshots of a session are kept, besides those that something needs. */
export const snapshotsKept = 20;
export const collectionInterval = 3_600_000;
const graceMs = 3_600_000;
/** Blobs looked at under one lock: a snapshot waits as long as their deletion takes. */
const blobsAtATime = 64;
const deletionsAtOnce = 8;

/** @example engine.every("snapshots", collectionInterval, collectionWork({ database, blobs, log })); */
export function collectionWork({ log, ...dependencies }: CollectorDependencies & { readonly log: Logger }) {
  return async (signal: AbortSignal): Promise<void> => {
    const collected = await collectSnapshots(dependencies, signal);
    if (collected.snapshots + collected.blobs > 0) log.info({ ...collected }, "snapshots collected");
  };
}

export async function collectSnapshots(dependencies: CollectorDependencies, signal: AbortSignal): Promise<Collected> {
  const organizations = await dependencies.database.selectFrom("organizations").select("id").orderBy("id").execute();
  let [snapshots, blobs] = [0, 0];
  for (const { id } of organizations) {
    if (signal.aborted) break;
    snapshots += await deleteSnapshots(dependencies.database, id);
    blobs += await deleteBlobs(dependencies, id, signal);
  }
  return { snapshots, blobs };
}

/**
 * What stays: those that a sandbox starts from, the latest of each session, and of sessions that exist those that a
 * person keeps.
 */
async function deleteSnapshots(database: Kysely<Tables>, organizationId: string): Promise<number> {
  return database.transaction().execute(async (transaction) => {
    await takeCollectionLock(transaction, organizationId);
    const { numAffectedRows = 0n } = await sql`
      delete from snapshots where id in (
        select id from (
          select id, session_id, kept,
                 row_number() over (partition by session_id order by created_at desc, id desc) as rank
          from snapshots where organization_id = ${organizationId}
        ) ranked
        where (session_id is null or (rank > ${snapshotsKept} and not kept))
          and not exists (select from sandboxes where sandboxes.snapshot_id = ranked.id)
      )`.execute(transaction);
    return Number(numAffectedRows);
  });
}

async function deleteBlobs(
  dependencies: CollectorDependencies,
  organizationId: string,
  signal: AbortSignal,
): Promise<number> {
  const { blobs, now = Date.now } = dependencies;
  let deleted = 0;
  let batch: ListedBlob[] = [];
  for await (const blob of blobs.list(organizationId)) {
    if (signal.aborted) return deleted;
    if (blob.storedAt.getTime() > now() - graceMs) continue;
    batch.push(blob);
    if (batch.length < blobsAtATime) continue;
    deleted += await deleteUnnamed(dependencies, organizationId, batch);
    batch = [];
  }
  return deleted + (batch.length === 0 ? 0 : await deleteUnnamed(dependencies, organizationId, batch));
}

async function deleteUnnamed(
  { database, blobs }: CollectorDependencies,
  organizationId: string,
  batch: readonly ListedBlob[],
): Promise<number> {
  const keys = batch.map(({ sha256 }) => sha256);
  return database.transaction().execute(async (transaction) => {
    await takeCollectionLock(transaction, organizationId);
    const { rows } = await sql<{ sha256: string }>`
      select distinct named.sha256 from snapshots, unnest(blobs) as named (sha256)
      where organization_id = ${organizationId} and named.sha256 = any(${keys})
      union
      select named.sha256 from uploaded_files, unnest(blobs) as named (sha256)
      where organization_id = ${organizationId} and named.sha256 = any(${keys})`.execute(transaction);
    const named = new Set(rows.map(({ sha256 }) => sha256));
    const unnamed = keys.filter((sha256) => !named.has(sha256));
    for (let first = 0; first < unnamed.length; first += deletionsAtOnce) {
      const some = unnamed.slice(first, first + deletionsAtOnce);
      await Promise.all(some.map((sha256) => blobs.delete(organizationId, sha256)));
    }
    return unnamed.length;
  });
}
