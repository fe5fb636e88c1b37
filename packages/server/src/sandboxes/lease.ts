/**
 * A session's sandbox: found, created, or replaced. The row in Postgres names the current generation; a sandbox is
 * written there only when its workspace is complete, so a crash in the middle of a restore leaves no half workspace.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox, SandboxProvider, SandboxResources } from "@exoloop/sandbox/contract";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { NoticeBoard, PreviewFrame } from "../sessions/notices.ts";
import type { BlobStore } from "./blobs.ts";
import type { SandboxOwner } from "./workspace.ts";

export interface LeaseDependencies {
  readonly database: Kysely<Tables>;
  readonly provider: SandboxProvider;
  readonly blobs: BlobStore;
  readonly notices: NoticeBoard;
  readonly resources: SandboxResources;
}

export interface Lease {
  readonly owner: SandboxOwner;
  readonly sandbox: Sandbox;
  readonly generation: number;
}

/** What the model is told when it gets another sandbox than it had. */
export interface Replacement {
  readonly generation: number;
  /** Instant of the snapshot that was restored; null when there was none. */
  readonly snapshotAt: Date | null;
}

export interface Acquired {
  readonly lease: Lease;
  /** Null when the sandbox is the one that the session had, or its first. */
  readonly replacement: Replacement | null;
}

interface SandboxRow {
  readonly sandbox_id: string | null;
  readonly generation: number;
  readonly snapshot_id: string | null;
  readonly snapshot_at: Date | null;
}

/** Attaches to the session's sandbox, or makes the next generation from its last snapshot. */
export async function acquire(dependencies: LeaseDependencies, owner: SandboxOwner): Promise<Acquired> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const row = await readRow(dependencies, owner);
    if (row.sandbox_id !== null) {
      const sandbox = await attach(dependencies.provider, row.sandbox_id);
      if (sandbox !== null) return { lease: { owner, sandbox, generation: row.generation }, replacement: null };
    }
    const acquired = await createGeneration(dependencies, owner, row);
    // Null: another worker was faster, and its generation is the one to use.
    if (acquired !== null) return acquired;
  }
  throw new Error(`session ${owner.sessionId}: its sandbox is replaced over and over`);
}

/** The session's sandbox as it is; null when it has none, or the one that it had is gone. */
export async function findLease(
  { database, provider }: Pick<LeaseDependencies, "database" | "provider">,
  owner: SandboxOwner,
): Promise<Lease | null> {
  const row = await database
    .selectFrom("sandboxes")
    .select(["sandbox_id", "generation"])
    .where("session_id", "=", owner.sessionId)
    .executeTakeFirst();
  if (row === undefined || row.sandbox_id === null) return null;
  const sandbox = await attach(provider, row.sandbox_id);
  return sandbox === null ? null : { owner, sandbox, generation: row.generation };
}

async function readRow({ database, provider }: LeaseDependencies, owner: SandboxOwner): Promise<SandboxRow> {
  const find = () =>
    database
      .selectFrom("sandboxes")
      .select(["sandbox_id", "generation", "snapshot_id", "snapshot_at"])
      .where("session_id", "=", owner.sessionId)
      .executeTakeFirst();
  const found = await find();
  if (found !== undefined) return found;
  await database
    .insertInto("sandboxes")
    .values({ session_id: owner.sessionId, organization_id: owner.organizationId, provider: provider.id })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await find()) ?? { sandbox_id: null, generation: 0, snapshot_id: null, snapshot_at: null };
}

async function attach(provider: SandboxProvider, id: string): Promise<Sandbox | null> {
  try {
    return await provider.attach({ provider: provider.id, id });
  } catch (error) {
    if (error instanceof SandboxGoneError) return null;
    throw error;
  }
}

async function createGeneration(
  dependencies: LeaseDependencies,
  owner: SandboxOwner,
  row: SandboxRow,
): Promise<Acquired | null> {
  const { database, provider, resources } = dependencies;
  await refuseEnded(database, owner);
  const startedAt = performance.now();
  const generation = row.generation + 1;
  publishStatus(dependencies, owner, "creating", generation, 0);
  const sandbox = await provider.create({ id: createId("sandbox"), resources, environment: {} });
  try {
    if (row.snapshot_id !== null) await restore(dependencies, owner, row.snapshot_id, sandbox);
    const updated = await database
      .updateTable("sandboxes")
      .set((expression) => ({
        sandbox_id: sandbox.reference.id,
        generation,
        provider: provider.id,
        state: "suspended" as const,
        replacements: row.sandbox_id === null ? expression.ref("replacements") : expression("replacements", "+", 1),
        updated_at: new Date(),
      }))
      .where("session_id", "=", owner.sessionId)
      .where("generation", "=", row.generation)
      .executeTakeFirst();
    if (updated.numUpdatedRows !== 1n) {
      await sandbox.destroy();
      return null;
    }
  } catch (error) {
    await sandbox.destroy().catch(() => undefined);
    throw error;
  }
  const replaced = row.sandbox_id !== null;
  publishStatus(dependencies, owner, replaced ? "replaced" : "suspended", generation, performance.now() - startedAt);
  return {
    lease: { owner, sandbox, generation },
    replacement: replaced ? { generation, snapshotAt: row.snapshot_at } : null,
  };
}

/** A command that outlives its session must not make another sandbox. */
async function refuseEnded(database: Kysely<Tables>, owner: SandboxOwner): Promise<void> {
  const session = await database
    .selectFrom("sessions")
    .select("id")
    .where("id", "=", owner.sessionId)
    .where("archived_at", "is", null)
    .executeTakeFirst();
  if (session === undefined) throw new Error(`session ${owner.sessionId} has ended`);
}

async function restore(
  { database, blobs }: LeaseDependencies,
  owner: SandboxOwner,
  snapshotId: string,
  sandbox: Sandbox,
): Promise<void> {
  const snapshot = await database
    .selectFrom("snapshots")
    .select("sha256")
    .where("id", "=", snapshotId)
    .where("organization_id", "=", owner.organizationId)
    .executeTakeFirstOrThrow();
  await sandbox.restore(await blobs.get(owner.organizationId, snapshot.sha256));
}

export type SandboxStatusName = Extract<PreviewFrame, { type: "x_exoloop.sandbox_status" }>["status"];

/** Tells clients that watch; nothing is stored. */
export function publishStatus(
  { notices }: Pick<LeaseDependencies, "notices">,
  owner: SandboxOwner,
  status: SandboxStatusName,
  generation: number,
  milliseconds: number,
): void {
  notices.publish({
    type: "frame",
    sessionId: owner.sessionId,
    frame: {
      type: "x_exoloop.sandbox_status",
      status,
      generation,
      milliseconds: Math.round(milliseconds * 100) / 100,
      at: new Date().toISOString(),
    },
  });
}
