/**
 * Snapshots of sessions: taken, stored and restored. A row of `snapshots` is written when everything that it needs is in
 * the blob store; a crash before it leaves blobs that nobody names, for the collector.
 * @module
 */
import type { Sandbox } from "@exoloop/sandbox/contract";
import type { Kysely } from "kysely";
import type { BlobStore } from "../../blobs/store.ts";
import type { Tables } from "../../db/tables.ts";
import type { NoticeBoard } from "../../sessions/notices.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { publishStatus } from "../held-sandbox.ts";
import type { SandboxOwner } from "../workspace.ts";
import { captureWorkspace, entriesForHeap as entriesAtMost } from "./capture.ts";
import { type Manifest, sameWorkspace } from "./manifest.ts";
import { createManifestCache, type ManifestCache } from "./manifest-cache.ts";
import { createPackPlaces, type PackPlaces } from "./pack-places.ts";
import { recordSnapshot } from "./recorded-snapshot.ts";
import { restoreWorkspace } from "./restore.ts";
import { loadManifest, storeManifest } from "./stored-manifest.ts";
import { createTurns, type Turn } from "./turns.ts";

const root = "/workspace";
const attempts = 3;
/** The compressor has as many threads. */
const packsAtOnce = 4;

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
  readonly places: PackPlaces;
  /** For large workspaces. A command waits for a restore, but not behind somebody's snapshot. */
  readonly taking: () => Turn;
  readonly restoring: () => Turn;
}

/** What a capture builds on. */
interface Base {
  readonly snapshotId: string | null;
  readonly manifest: Manifest | null;
}

/** @example const snapshots = createSnapshots({ database, blobs, notices, log }); await snapshots.take(held); */
export function createSnapshots(dependencies: SnapshotDependencies): Snapshots {
  const parts = {
    ...dependencies,
    cache: createManifestCache(),
    places: createPackPlaces(packsAtOnce),
    taking: createTurns(),
    restoring: createTurns(),
  };
  return {
    take: (source) => take(parts, source),
    restore: (owner, snapshotId, sandbox) => restore(parts, owner, snapshotId, sandbox),
  };
}

async function take(parts: Parts, source: SnapshotSource): Promise<void> {
  const startedAt = performance.now();
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const turn = parts.taking();
    const result = await takeOnce(parts, source, turn).finally(() => turn.leave());
    if (result === "stored") {
      publishStatus(parts, source.owner, "snapshotted", source.generation, performance.now() - startedAt);
    }
    if (result !== "overtaken") return;
  }
  throw new Error(`session ${source.owner.sessionId}: its snapshot was overtaken ${attempts} times`);
}

type Outcome = "stored" | "unchanged" | "overtaken" | "older";

async function takeOnce(parts: Parts, source: SnapshotSource, turn: Turn): Promise<Outcome> {
  const base = await readBase(parts, source, turn);
  return base === null ? "older" : takeFrom(parts, source, base, turn);
}

/** Null when the session has another sandbox by now. */
async function readBase(
  parts: Parts,
  { owner, sandbox, generation }: SnapshotSource,
  turn: Turn,
): Promise<Base | null> {
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
    return { snapshotId: row.snapshot_id, manifest: await readManifest(parts, owner, row.snapshot_id, turn) };
  } catch (error) {
    // Damaged or missing: everything is stored anew, and the next snapshot can be used.
    parts.log.error({ session: owner.sessionId, snapshot: row.snapshot_id, error }, "snapshot cannot be read");
    return { snapshotId: row.snapshot_id, manifest: null };
  }
}

async function takeFrom(parts: Parts, source: SnapshotSource, base: Base, turn: Turn): Promise<Outcome> {
  const begunAt = Date.now();
  const { blobs, cache, log, places } = parts;
  const { owner, sandbox } = source;
  const { organizationId } = owner;
  const [sandboxId, { session }] = [sandbox.reference.id, sandbox];
  const captured = await captureWorkspace({
    session,
    sandboxId,
    root,
    previous: base.manifest,
    blobs,
    organizationId,
    entriesAtMost,
    places,
    beforeMany: () => turn.enter(),
  });
  const { manifest, stored, unsettled, beyond } = captured;
  if (beyond.count > 0) {
    log.warn({ session: owner.sessionId, entriesAtMost, ...beyond }, "a snapshot leaves out what is beyond the most");
  }
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
  const manifestBlobs = await storeManifest(blobs, organizationId, manifest);
  const result = await recordSnapshot(parts.database, blobs, {
    owner,
    generation: source.generation,
    parentId: base.snapshotId,
    begunAt,
    manifest,
    manifestBlobs,
    stored: [...stored, ...manifestBlobs],
  });
  if (typeof result === "string") return result;
  cache.set(sandboxId, { snapshotId: result.id, manifest });
  return "stored";
}

async function restore(parts: Parts, owner: SandboxOwner, snapshotId: string, sandbox: Sandbox): Promise<void> {
  const { blobs, cache } = parts;
  const sandboxId = sandbox.reference.id;
  const present = cache.get(sandboxId)?.manifest ?? null;
  // Half restored, nothing is known of it.
  cache.delete(sandboxId);
  const turn = parts.restoring();
  try {
    const manifest = await readManifest(parts, owner, snapshotId, turn);
    const { organizationId } = owner;
    const request = { session: sandbox.session, sandboxId, root, manifest, present, blobs, organizationId };
    cache.set(sandboxId, { snapshotId, manifest: await restoreWorkspace(request) });
  } finally {
    turn.leave();
  }
}

async function readManifest(
  { database, blobs }: Parts,
  owner: SandboxOwner,
  snapshotId: string,
  turn: Turn,
): Promise<Manifest> {
  const row = await database
    .selectFrom("snapshots")
    .select("manifest_sha256")
    .where("id", "=", snapshotId)
    .where("organization_id", "=", owner.organizationId)
    .executeTakeFirst();
  if (row === undefined) throw new Error(`there is no snapshot ${snapshotId}`);
  return loadManifest(blobs, owner.organizationId, row.manifest_sha256, () => turn.enter());
}
