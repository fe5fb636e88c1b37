/**
 * The end of a sandbox, by whatever reason. The row first, then the sandbox: dies the server in between, a sandbox
 * is left that no row names, and the reconciler destroys it.
 * @module
 */
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { type SandboxDependencies, publishStatus } from "../held-sandbox.ts";
import { isLeased } from "../use/settle.ts";
import type { SandboxOwner } from "../workspace.ts";
import { attach } from "./acquire.ts";
import { tellOwed } from "./owed.ts";
import { providerNamed } from "./providers.ts";

interface Ending {
  readonly state: "gone" | "snapshotted";
  readonly released: "idle" | "moved" | "killed" | null;
  /** Another provider for what comes after. */
  readonly provider?: string;
  /** Only if the sandbox is still this one and nobody has used it since. */
  readonly unused?: {
    readonly generation: number;
    readonly sandboxId: string;
    readonly usedAt: string;
    /** Background commands end with it. */
    readonly evenLeased: boolean;
  };
}

interface EndedSandbox {
  readonly id: string;
  readonly provider: string;
  readonly generation: number;
}

/** What the row named; null when it named nothing, or `unused` does not hold. A command that comes now makes another. */
export async function takeFromRow(
  { database }: { readonly database: Kysely<Tables> },
  { sessionId }: Pick<SandboxOwner, "sessionId">,
  { state, released, provider, unused }: Ending,
): Promise<EndedSandbox | null> {
  const holds =
    unused === undefined
      ? sql`true`
      : sql`generation = ${unused.generation} and sandbox_id = ${unused.sandboxId}
          and used_at = ${unused.usedAt}::timestamptz and running_command is null
          and (${unused.evenLeased} or not ${isLeased})`;
  const { rows } = await sql<EndedSandbox>`
    with before as (
      select session_id, sandbox_id as id, provider, generation,
        greatest(0, coalesce(extract(epoch from clock_timestamp() - awake_since) * 1000, 0))::float8 as elapsed
      from sandboxes where session_id = ${sessionId} and sandbox_id is not null and ${holds} for update
    ), ended as (
      update sandbox_leases set ended_at = clock_timestamp(), ended = 'sandbox_gone'
      from before where sandbox_leases.session_id = before.session_id and ended_at is null
    )
    update sandboxes set sandbox_id = null, state = ${state}, released = ${released}::text, awake_since = null,
      provider = ${provider ?? sql`sandboxes.provider`},
      awake_milliseconds = awake_milliseconds + before.elapsed, owed_milliseconds = owed_milliseconds + before.elapsed,
      updated_at = clock_timestamp()
    from before where sandboxes.session_id = before.session_id
    returning before.id, before.provider, before.generation`.execute(database);
  return rows[0] ?? null;
}

export async function destroyEnded(dependencies: SandboxDependencies, ended: EndedSandbox): Promise<void> {
  const sandbox = await attach(dependencies, providerNamed(dependencies, ended.provider), ended.id);
  await sandbox?.destroy();
}

/**
 * Takes the sandbox from its session within a transaction of the caller's, whatever runs in it: what comes next is
 * another generation. The answer destroys it after the commit, and never rejects; null where there is none.
 */
export async function dropSandbox(
  dependencies: SandboxDependencies,
  transaction: Transaction<Tables>,
  owner: SandboxOwner,
): Promise<(() => Promise<void>) | null> {
  const ended = await takeFromRow({ database: transaction }, owner, { state: "gone", released: "killed" });
  if (ended === null) return null;
  return async () => {
    publishStatus(dependencies, owner, "gone", ended.generation, 0);
    await destroyEnded(dependencies, ended).catch((error: unknown) =>
      // No row names it: the reconciler destroys it.
      dependencies.log.warn({ error, session: owner.sessionId }, "a sandbox was not destroyed yet"),
    );
  };
}

/** With its session: nothing comes after it. */
export async function releaseSandbox(dependencies: SandboxDependencies, owner: SandboxOwner): Promise<void> {
  const ended = await takeFromRow(dependencies, owner, { state: "gone", released: null });
  if (ended !== null) await destroyEnded(dependencies, ended);
  await tellOwed(dependencies, owner.sessionId);
}

/**
 * A person ends the session's sandbox, also under a running command, which is told as unknown. The next command gets
 * another one, and is told. False: there was none.
 */
export async function killSandbox(dependencies: SandboxDependencies, owner: SandboxOwner): Promise<boolean> {
  const ended = await takeFromRow(dependencies, owner, { state: "gone", released: "killed" });
  if (ended === null) return false;
  publishStatus(dependencies, owner, "gone", ended.generation, 0);
  await destroyEnded(dependencies, ended);
  return true;
}
