/**
 * Snapshots of sessions: taken, stored and restored. A row of `snapshots` is written when everything that it needs is in
 * the blob store; a crash before it leaves blobs that nobody names, for the collector.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox } from "@exoloop/sandbox/contract";
import type { Kysely } from "kysely";
import type { BlobStore } from "../../blobs/store.ts";
import type { Tables } from "../../db/tables.ts";
import type { NoticeBoard } from "../../sessions/notices.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { publishStatus } from "../held-sandbox.ts";
import type { SandboxOwner } from "../workspace.ts";
import { type Captured, captureWorkspace } from "./capture.ts";
import { shareCollectionLock } from "./collection-lock.ts";
import { logicalBytes, type Manifest, packsOf, sameWorkspace } from "./manifest.ts";
import { createManifestCache, type ManifestCache } from "./manifest-cache.ts";
import { decodeManifest, encodeManifest } from "./manifest-format.ts";
import { restoreWorkspace } from "./restore.ts";

const root = "/workspace";
/** What is stored is safe from the collector for an hour. */
const longestTakeMs = 45 * 60_000;
const attempts = 3;

export interface SnapshotDependencies {
  readonly database: Kysely<Tables>;
  readonly blobs: BlobStore;
  readonly notices: NoticeBoard;
  readonly log: Logger;
}

/** A session's sandbox in one generation. */
export interface SnapshotSource {
  readonly owner: SandboxOwner;
  readonly sandbox: Sandbox;
  readonly generation: number;
}

export interface Snapshots {
  /**
   * Stores the workspace as it is now and makes it the one that the next generation starts from. An unchanged workspace
   * stores nothing, nor does one of an older generation.
   * @throws SandboxGoneError: the previous snapshot stays the last.
   */
  take(source: SnapshotSource): Promise<void>;
  /**
   * Makes a sandbox's workspace what the snapshot says. Nothing may run in it.
   * @throws Error: the sandbox must not be used then.
   */
  restore(owner: SandboxOwner, snapshotId: string, sandbox: Sandbox): Promise<void>;
}

interface Parts extends SnapshotDependencies {
  readonly cache: ManifestCache;
}

/** What a capture builds on. */
interface Base {
  readonly snapshotId: string | null;
  readonly manifest: Manifest | null;
}

/** @example const snapshots = createSnapshots({ database, blobs, notices, log }); await snapshots.take(held); */
export function createSnapshots(dependencies: SnapshotDependencies): Snapshots {
  const parts = { ...dependencies, cache: createManifestCache() };
  return {
    take: (source) => take(parts, source),
    restore: (owner, snapshotId, sandbox) => restore(parts, owner, snapshotId, sandbox),
  };
}

async function take(parts: Parts, source: SnapshotSource): Promise<void> {
  const startedAt = performance.now();
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const base = await readBase(parts, source);
    if (base === null) return;
    const result = await takeFrom(parts, source, base, startedAt);
    if (result === "stored") {
      publishStatus(parts, source.owner, "snapshotted", source.generation, performance.now() - startedAt);
    }
    if (result !== "overtaken") return;
  }
  throw new Error(`session ${source.owner.sessionId}: its snapshot was overtaken ${attempts} times`);
}

/** Null when the session has another sandbox by now. */
async function readBase(parts: Parts, { owner, sandbox, generation }: SnapshotSource): Promise<Base | null> {
  const row = await parts.database
    .selectFrom("sandboxes")
    .select(["generation", "snapshot_id"])
    .where("session_id", "=", owner.sessionId)
    .executeTakeFirst();
  if (row?.generation !== generation) return null;
  if (row.snapshot_id === null) return { snapshotId: null, manifest: null };
  const cached = parts.cache.get(sandbox.reference.id);
  if (cached?.snapshotId === row.snapshot_id) return cached;
  try {
    return { snapshotId: row.snapshot_id, manifest: await readManifest(parts, owner, row.snapshot_id) };
  } catch (error) {
    // Damaged or missing: everything is stored anew, and the next snapshot can be used.
    parts.log.error({ session: owner.sessionId, snapshot: row.snapshot_id, error }, "snapshot cannot be read");
    return { snapshotId: row.snapshot_id, manifest: null };
  }
}

async function takeFrom(
  parts: Parts,
  source: SnapshotSource,
  base: Base,
  startedAt: number,
): Promise<"stored" | "unchanged" | "overtaken" | "older"> {
  const { blobs, cache, log } = parts;
  const { owner, sandbox } = source;
  const { organizationId } = owner;
  const [sandboxId, { session }] = [sandbox.reference.id, sandbox];
  const captured = await captureWorkspace({ session, sandboxId, root, previous: base.manifest, blobs, organizationId });
  const { manifest, stored, unsettled } = captured;
  if (unsettled > 0) log.warn({ session: owner.sessionId, files: unsettled }, "files changed while they were read");
  if (base.manifest !== null && stored.length === 0 && sameWorkspace(manifest, base.manifest)) {
    cache.set(sandboxId, { snapshotId: base.snapshotId, manifest });
    await parts.database
      .updateTable("sandboxes")
      .set({ snapshot_at: new Date() })
      .where("session_id", "=", owner.sessionId)
      .where("generation", "=", source.generation)
      .where("snapshot_id", "=", base.snapshotId)
      .execute();
    return "unchanged";
  }
  const manifestBlob = await blobs.put(organizationId, await encodeManifest(manifest));
  if (performance.now() - startedAt > longestTakeMs)
    throw new Error("a snapshot took too long: its content may be gone");
  const result = await recordSnapshot(parts, source, base, { ...captured, stored: [...stored, manifestBlob] });
  if (typeof result === "string") return result;
  cache.set(sandboxId, { snapshotId: result.id, manifest });
  return "stored";
}

/** The last of `stored` is the manifest. */
async function recordSnapshot(
  { database, blobs }: Parts,
  { owner, generation }: SnapshotSource,
  base: Base,
  { manifest, stored }: Pick<Captured, "manifest" | "stored">,
): Promise<{ readonly id: string } | "overtaken" | "older"> {
  const { organizationId, sessionId } = owner;
  const manifestSha256 = stored.at(-1)?.sha256 ?? "";
  return database.transaction().execute(async (transaction) => {
    await shareCollectionLock(transaction, organizationId);
    // In the order in which a session is deleted: first it, then its sandbox.
    await transaction.selectFrom("sessions").select("id").where("id", "=", sessionId).forKeyShare().execute();
    const row = await transaction
      .selectFrom("sandboxes")
      .select(["generation", "snapshot_id"])
      .where("session_id", "=", sessionId)
      .forUpdate()
      .executeTakeFirst();
    // A snapshot of an older generation would undo what the newer one has done.
    if (row?.generation !== generation) return "older";
    if (row.snapshot_id !== base.snapshotId) return "overtaken";
    // What was there before nobody may have named, and the collector may have come since.
    for (const blob of stored) {
      if (blob.existed && !(await blobs.has(organizationId, blob.sha256))) return "overtaken";
    }
    const id = createId("snapshot");
    await transaction
      .insertInto("snapshots")
      .values({
        id,
        organization_id: organizationId,
        session_id: sessionId,
        manifest_sha256: manifestSha256,
        logical_bytes: logicalBytes(manifest),
        stored_bytes: stored.reduce((sum, blob) => sum + (blob.existed ? 0 : blob.size), 0),
        files: manifest.files.length,
        left_out: manifest.leftOut,
        parent_id: base.snapshotId,
        generation,
        blobs: [manifestSha256, ...packsOf(manifest).map((pack) => pack.sha256)],
      })
      .execute();
    await transaction
      .updateTable("sandboxes")
      .set({ snapshot_id: id, snapshot_at: new Date() })
      .where("session_id", "=", sessionId)
      .execute();
    return { id };
  });
}

async function restore(parts: Parts, owner: SandboxOwner, snapshotId: string, sandbox: Sandbox): Promise<void> {
  const { blobs, cache } = parts;
  const sandboxId = sandbox.reference.id;
  const present = cache.get(sandboxId)?.manifest ?? null;
  // Half restored, nothing is known of it.
  cache.delete(sandboxId);
  const manifest = await readManifest(parts, owner, snapshotId);
  const { organizationId } = owner;
  const request = { session: sandbox.session, sandboxId, root, manifest, present, blobs, organizationId };
  cache.set(sandboxId, { snapshotId, manifest: await restoreWorkspace(request) });
}

async function readManifest({ database, blobs }: Parts, owner: SandboxOwner, snapshotId: string): Promise<Manifest> {
  const row = await database
    .selectFrom("snapshots")
    .select("manifest_sha256")
    .where("id", "=", snapshotId)
    .where("organization_id", "=", owner.organizationId)
    .executeTakeFirst();
  if (row === undefined) throw new Error(`there is no snapshot ${snapshotId}`);
  return decodeManifest(await blobs.get(owner.organizationId, row.manifest_sha256));
}
