/** Snapshots of workspaces: taken while the workload is frozen and the model thinks. @module */
import { createId } from "@exoloop/protocol/ids";
import { type Lease, type LeaseDependencies, publishStatus } from "./lease.ts";

/**
 * Stores the workspace as it is now and makes it the one that the next generation starts from. An unchanged workspace
 * stores nothing. Fails when the sandbox is gone: the previous snapshot then stays the last.
 */
export async function takeSnapshot(dependencies: LeaseDependencies, lease: Lease): Promise<void> {
  const { database, blobs } = dependencies;
  const { owner } = lease;
  const startedAt = performance.now();
  const blob = await blobs.put(owner.organizationId, await lease.sandbox.snapshot());
  const changed = await database.transaction().execute(async (transaction) => {
    const row = await transaction
      .selectFrom("sandboxes")
      .leftJoin("snapshots", "snapshots.id", "sandboxes.snapshot_id")
      .select(["sandboxes.generation", "snapshots.sha256"])
      .where("sandboxes.session_id", "=", owner.sessionId)
      .forUpdate("sandboxes")
      .executeTakeFirst();
    // A snapshot of an older generation would undo what the newer one has done.
    if (row === undefined || row.generation !== lease.generation) return false;
    const now = new Date();
    const unchanged = row.sha256 === blob.sha256;
    const id = createId("snapshot");
    if (!unchanged) {
      await transaction
        .insertInto("snapshots")
        .values({
          id,
          organization_id: owner.organizationId,
          session_id: owner.sessionId,
          sha256: blob.sha256,
          size_bytes: blob.size,
        })
        .execute();
    }
    await transaction
      .updateTable("sandboxes")
      .set({ snapshot_at: now, ...(unchanged ? {} : { snapshot_id: id }) })
      .where("session_id", "=", owner.sessionId)
      .execute();
    return !unchanged;
  });
  if (changed) publishStatus(dependencies, owner, "snapshotted", lease.generation, performance.now() - startedAt);
}
