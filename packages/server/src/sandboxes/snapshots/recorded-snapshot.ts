/**
 * The row of a snapshot whose blobs are in the store, and that it is the session's last. The session's sandbox and the
 * collector wait for the transaction, so what takes time in it is done at once, or before it.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import type { Kysely, Transaction } from "kysely";
import type { BlobStore, StoredBlob } from "../../blobs/store.ts";
import type { Tables } from "../../db/tables.ts";
import type { SandboxOwner } from "../workspace.ts";
import { shareCollectionLock } from "./collection-lock.ts";
import { logicalBytes, type Manifest, packsOf } from "./manifest.ts";

export interface SnapshotRecord {
  readonly owner: SandboxOwner;
  /** Of the sandbox that was captured. */
  readonly generation: number;
  /** The snapshot that it builds on, the last one when it was begun. */
  readonly parentId: string | null;
  /** By the clock on the wall, which the collector reads too: before anything was stored for it. */
  readonly begunAt: number;
  readonly manifest: Manifest;
  /** The manifest is found by the last of them. */
  readonly manifestBlobs: readonly StoredBlob[];
  /** What was stored for it, the manifest's included. */
  readonly stored: readonly StoredBlob[];
}

/** The collector leaves what was stored within the last hour alone: a quarter of an hour is for clocks that differ. */
const safeMs = 45 * 60_000;
/** A bucket answers one question in 20 to 50 ms, and a thousand may be asked. */
const questionsAtOnce = 16;

/** Its id; or that another snapshot came first, or another sandbox. */
export async function recordSnapshot(
  database: Kysely<Tables>,
  blobs: BlobStore,
  record: SnapshotRecord,
): Promise<{ readonly id: string } | "overtaken" | "older"> {
  const { organizationId, sessionId } = record.owner;
  const row = rowOf(record);
  return database.transaction().execute(async (transaction) => {
    await shareCollectionLock(transaction, organizationId);
    // In the order in which a session is deleted: first it, then its sandbox.
    await transaction.selectFrom("sessions").select("id").where("id", "=", sessionId).forKeyShare().execute();
    const sandbox = await transaction
      .selectFrom("sandboxes")
      .select(["generation", "snapshot_id"])
      .where("session_id", "=", sessionId)
      .forUpdate()
      .executeTakeFirst();
    // A snapshot of an older generation would undo what the newer one has done.
    if (sandbox?.generation !== record.generation) return "older";
    if (sandbox.snapshot_id !== record.parentId) return "overtaken";
    // What was there before nobody may have named, and the collector may have come since. To a process that stood still
    // for long, with its machine or alone, it may have come for all that was stored: only now it cannot come.
    const late = Date.now() - record.begunAt > safeMs;
    const found = record.stored.filter(({ existed }) => existed || late).map(({ sha256 }) => sha256);
    const named = new Set(found.length === 0 ? [] : await blobsOf(transaction, record.parentId));
    const doubtful = found.filter((sha256) => !named.has(sha256));
    if (!(await hasAll(blobs, organizationId, doubtful))) return "overtaken";
    await transaction.insertInto("snapshots").values(row).execute();
    await transaction
      .updateTable("sandboxes")
      .set({ snapshot_id: row.id, snapshot_at: new Date() })
      .where("session_id", "=", sessionId)
      .execute();
    return { id: row.id };
  });
}

function rowOf({ owner, generation, parentId, manifest, manifestBlobs, stored }: SnapshotRecord) {
  return {
    id: createId("snapshot"),
    organization_id: owner.organizationId,
    session_id: owner.sessionId,
    manifest_sha256: manifestBlobs.at(-1)?.sha256 ?? "",
    logical_bytes: logicalBytes(manifest),
    stored_bytes: stored.reduce((sum, blob) => sum + (blob.existed ? 0 : blob.size), 0),
    files: manifest.files.length,
    left_out: manifest.leftOut,
    parent_id: parentId,
    generation,
    blobs: [...manifestBlobs, ...packsOf(manifest)].map(({ sha256 }) => sha256),
  };
}

async function hasAll(blobs: BlobStore, organizationId: string, keys: readonly string[]): Promise<boolean> {
  for (let from = 0; from < keys.length; from += questionsAtOnce) {
    const some = keys.slice(from, from + questionsAtOnce);
    const there = await Promise.all(some.map((sha256) => blobs.has(organizationId, sha256)));
    if (there.includes(false)) return false;
  }
  return true;
}

async function blobsOf(transaction: Transaction<Tables>, snapshotId: string | null): Promise<readonly string[]> {
  if (snapshotId === null) return [];
  const row = await transaction.selectFrom("snapshots").select("blobs").where("id", "=", snapshotId).executeTakeFirst();
  return row?.blobs ?? [];
}
