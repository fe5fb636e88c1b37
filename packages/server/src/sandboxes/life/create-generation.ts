/**
 * The next generation of a session's sandbox.
 *
 * | the server dies           | what it leaves behind                                             |
 * |---------------------------|-------------------------------------------------------------------|
 * | before the sandbox is made | nothing                                                          |
 * | before the row names it   | a sandbox that no row names: the reconciler destroys it; the row is as it was |
 * | after                     | the generation, and the notice that tells of it, in one statement |
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { type HeldSandbox, type SandboxDependencies, publishStatus } from "../held-sandbox.ts";
import type { SandboxNotice } from "../notices.ts";
import { withDeadlines } from "../use/deadlines.ts";
import type { SandboxOwner } from "../workspace.ts";
import { firstProvider, providerNamed } from "./providers.ts";

export interface SandboxRow {
  readonly sandbox_id: string | null;
  readonly generation: number;
  readonly provider: string;
  readonly state: string;
  readonly released: "idle" | "moved" | "killed" | null;
  readonly snapshot_id: string | null;
  readonly snapshot_at: Date | null;
}

/** Null when the row is another one by now: another worker has made a generation, or the session was moved. */
export async function createGeneration(
  dependencies: SandboxDependencies,
  owner: SandboxOwner,
  row: SandboxRow,
): Promise<HeldSandbox | null> {
  const { database, installation, snapshots, resources, log } = dependencies;
  await refuseEnded(database, owner);
  const startedAt = performance.now();
  const generation = row.generation + 1;
  const name = row.generation === 0 ? firstProvider(dependencies, row) : row.provider;
  const provider = providerNamed(dependencies, name);
  publishStatus(dependencies, owner, "creating", generation, 0);
  const id = createId("sandbox");
  const sandbox = withDeadlines(await provider.create({ id, owner: installation, resources, environment: {} }), log);
  const notice = noticeOf(row, generation);
  try {
    if (row.snapshot_id !== null) await snapshots.restore(owner, row.snapshot_id, sandbox);
    if (!(await nameIt(database, owner, row, { id, provider: name, generation, notice }))) {
      await sandbox.destroy();
      return null;
    }
  } catch (error) {
    await sandbox.destroy().catch(() => undefined);
    throw error;
  }
  const status = notice?.type === "replaced" ? "replaced" : "suspended";
  publishStatus(dependencies, owner, status, generation, performance.now() - startedAt);
  return { owner, sandbox, generation };
}

function noticeOf(row: SandboxRow, generation: number): SandboxNotice | null {
  // The first sandbox, also of a thread that begins with a copy of its parent's workspace.
  if (row.generation === 0) return null;
  const snapshotAt = row.snapshot_at?.toISOString() ?? null;
  if (row.released === "idle" || row.released === "moved") {
    return { type: "restored", generation, snapshotAt, movedTo: row.released === "moved" ? row.provider : null };
  }
  return { type: "replaced", generation, snapshotAt };
}

/** A lost sandbox was awake up to its last sign of life; its background commands are lost with it. */
async function nameIt(
  database: Kysely<Tables>,
  owner: SandboxOwner,
  row: SandboxRow,
  next: {
    readonly id: string;
    readonly provider: string;
    readonly generation: number;
    readonly notice: SandboxNotice | null;
  },
): Promise<boolean> {
  const added = JSON.stringify(next.notice === null ? [] : [next.notice]);
  const replaced = next.notice?.type === "replaced" ? 1 : 0;
  const { numAffectedRows } = await sql`
    with ended as (
      update sandbox_leases set ended_at = clock_timestamp(), ended = 'sandbox_gone'
      where session_id = ${owner.sessionId} and generation < ${next.generation} and ended_at is null
    ), before as (
      select session_id, greatest(0, coalesce(extract(epoch from used_at - awake_since) * 1000, 0))::float8 as elapsed
      from sandboxes where session_id = ${owner.sessionId} for update
    )
    update sandboxes set sandbox_id = ${next.id}, generation = ${next.generation}, provider = ${next.provider},
      state = 'suspended', released = null, running_command = null, awake_since = null,
      awake_milliseconds = awake_milliseconds + before.elapsed, owed_milliseconds = owed_milliseconds + before.elapsed,
      replacements = replacements + ${replaced}::int, notices = notices || ${added}::jsonb,
      used_at = clock_timestamp(), updated_at = clock_timestamp()
    from before
    where sandboxes.session_id = before.session_id and generation = ${row.generation} and provider = ${row.provider}
      and sandbox_id is not distinct from ${row.sandbox_id}::text`.execute(database);
  return numAffectedRows === 1n;
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
