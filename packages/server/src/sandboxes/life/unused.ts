/** Sandboxes that nobody uses, and the last snapshot before they end. @module */
import { sql } from "kysely";
import { type HeldSandbox, type SandboxDependencies, publishStatus } from "../held-sandbox.ts";
import { isLeased } from "../use/settle.ts";
import { suspendIdle } from "../use/suspend.ts";
import type { SandboxOwner } from "../workspace.ts";
import { attach } from "./acquire.ts";
import { destroyEnded, takeFromRow } from "./end.ts";
import { providerNamed } from "./providers.ts";

export interface UnusedSandbox extends SandboxOwner {
  readonly sandboxId: string;
  readonly provider: string;
  readonly generation: number;
  /** As Postgres writes it: microseconds would be lost in a Date, and it is compared. */
  readonly usedAt: string;
}

const atOnce = 50;

/** Those that have slept for so long, the longest first; never under a command, in the foreground or background. */
export async function findIdle(
  { database }: Pick<SandboxDependencies, "database">,
  idleSeconds: number,
): Promise<readonly UnusedSandbox[]> {
  const { rows } = await sql<UnusedSandbox>`
    select session_id as "sessionId", organization_id as "organizationId", sandbox_id as "sandboxId", provider,
      generation, used_at::text as "usedAt"
    from sandboxes
    where sandbox_id is not null and state = 'suspended' and running_command is null
      and used_at < clock_timestamp() - ${idleSeconds}::float8 * interval '1 second' and not ${isLeased}
    order by used_at limit ${atOnce}`.execute(database);
  return rows;
}

/** The session's sandbox, if nothing runs in it: `busy` while something does. Null: it has none. */
export async function findUnused(
  { database }: Pick<SandboxDependencies, "database">,
  { sessionId }: SandboxOwner,
): Promise<(UnusedSandbox & { readonly busy: boolean }) | null> {
  const { rows } = await sql<UnusedSandbox & { readonly busy: boolean }>`
    select session_id as "sessionId", organization_id as "organizationId", sandbox_id as "sandboxId", provider,
      generation, used_at::text as "usedAt", running_command is not null as busy
    from sandboxes where session_id = ${sessionId} and sandbox_id is not null`.execute(database);
  return rows[0] ?? null;
}

/** Nobody looks at its files after this; without them it is put away all the same. */
async function saveLast({ saveFiles, log }: SandboxDependencies, held: HeldSandbox): Promise<void> {
  await saveFiles?.(held).catch((error: unknown) =>
    log.warn({ session: held.owner.sessionId, error }, "files of a sandbox that is put away were not saved"),
  );
}

/**
 * Snapshot, row, sandbox, in this order. Where somebody has used the sandbox since it was found unused, the row is not
 * theirs to change and nothing ends; dies the server after the row, the reconciler ends the sandbox.
 * False: it was used meanwhile, or is gone.
 */
export async function putAway(
  dependencies: SandboxDependencies,
  unused: UnusedSandbox,
  ending: { readonly released: "idle" | "moved"; readonly provider?: string },
): Promise<boolean> {
  const startedAt = performance.now();
  const { sandboxId, generation, usedAt } = unused;
  const owner = { sessionId: unused.sessionId, organizationId: unused.organizationId };
  const sandbox = await attach(dependencies, providerNamed(dependencies, unused.provider), sandboxId);
  if (sandbox === null) return false;
  const held = { owner, sandbox, generation };
  // An idle one sleeps; in one that moves background commands may run, and what they write after this is lost.
  const evenLeased = ending.released === "moved";
  if (evenLeased) await sandbox.suspend();
  const ended = await saveLast(dependencies, held)
    .then(() => dependencies.snapshots.take(held))
    .then(() =>
      takeFromRow(dependencies, owner, {
        ...ending,
        state: "snapshotted",
        unused: { generation, sandboxId, usedAt, evenLeased },
      }),
    )
    .catch(async (error: unknown) => {
      if (evenLeased) await suspendIdle(dependencies, held);
      throw error;
    });
  if (ended === null) {
    if (evenLeased) await suspendIdle(dependencies, held);
    return false;
  }
  publishStatus(dependencies, owner, "snapshotted", generation, performance.now() - startedAt);
  await destroyEnded(dependencies, ended);
  return true;
}
