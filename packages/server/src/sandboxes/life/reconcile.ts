/**
 * What crashes have left: sandboxes that no row names, rows whose sandbox is gone, sandboxes of sessions that have
 * ended, and sandboxes that are awake for nobody. Of this installation only, and one server at a time.
 * @module
 */
import { instantOf } from "@exoloop/protocol/ids";
import type { SandboxProvider, SandboxSummary } from "@exoloop/sandbox/contract";
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import type { SandboxDependencies } from "../held-sandbox.ts";
import { isLeased } from "../use/settle.ts";
import { suspendIdle, suspendUnused } from "../use/suspend.ts";
import type { SandboxOwner } from "../workspace.ts";
import { attach, findHeld } from "./acquire.ts";
import { releaseSandbox } from "./end.ts";
import { providerNamed } from "./providers.ts";

/** Milliseconds. */
export interface ReconcilePatience {
  /** A sandbox is younger than this while it is made: restored and then named. */
  readonly unnamedMs: number;
  /** Whoever follows a command says so several times in this. */
  readonly silentMs: number;
}

const standardPatience: ReconcilePatience = { unnamedMs: 600_000, silentMs: 60_000 };

/** Does nothing while another server does it. */
export async function reconcile(
  dependencies: SandboxDependencies,
  patience: ReconcilePatience = standardPatience,
): Promise<void> {
  await dependencies.database.connection().execute(async (connection) => {
    const { rows } = await sql<{ taken: boolean }>`
      select pg_try_advisory_lock(hashtext('exoloop sandbox reconciler')) as taken`.execute(connection);
    if (rows[0]?.taken !== true) return;
    try {
      await releaseEnded(dependencies);
      await each(dependencies, dependencies.providers.keys(), async (name) => {
        const provider = providerNamed(dependencies, name);
        const listed = (await provider.list()).filter((status) => status.owner === dependencies.installation);
        await destroyUnnamed(dependencies, provider, listed, patience);
        await markGone(dependencies, name, provider, listed, patience);
        await suspendSleepers(dependencies, listed, patience);
      });
      await calmSilent(dependencies, patience);
    } finally {
      await sql`select pg_advisory_unlock(hashtext('exoloop sandbox reconciler'))`.execute(connection);
    }
  });
}

/** A host that is away answers nobody, each time after seconds: the next round is soon enough. */
const longestFailingMs = 30_000;

/** What cannot be put in order is told, and holds up nothing else. */
async function each<Item>(
  { log }: Pick<SandboxDependencies, "log">,
  items: Iterable<Item>,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const end = performance.now() + longestFailingMs;
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      log.warn({ item, error }, "what a crash left of sandboxes could not be put in order");
      if (performance.now() > end) return;
    }
  }
}

/** Their release was lost with its server. Rows of deleted sessions are gone: those sandboxes are unnamed. */
async function releaseEnded(dependencies: SandboxDependencies): Promise<void> {
  const rows = await dependencies.database
    .selectFrom("sandboxes")
    .innerJoin("sessions", "sessions.id", "sandboxes.session_id")
    .select(["sandboxes.session_id", "sandboxes.organization_id", "sandboxes.provider"])
    .where("sessions.archived_at", "is not", null)
    .where("sandboxes.sandbox_id", "is not", null)
    .execute();
  const here = rows.filter(({ provider }) => dependencies.providers.has(provider));
  await each(dependencies, here, (row) =>
    releaseSandbox(dependencies, { sessionId: row.session_id, organizationId: row.organization_id }),
  );
}

async function destroyUnnamed(
  dependencies: SandboxDependencies,
  provider: SandboxProvider,
  listed: readonly SandboxSummary[],
  { unnamedMs }: ReconcilePatience,
): Promise<void> {
  // A sandbox from the pool may be older than its name.
  const old = listed.filter(({ id, createdAt }) => Math.max(createdAt, instantOf(id) ?? 0) <= Date.now() - unnamedMs);
  const named = await namesOf(dependencies.database, old);
  const unnamed = old.filter((status) => !named.has(status.id));
  await each(dependencies, unnamed, async ({ id }) => {
    dependencies.log.info({ sandbox: id }, "sandbox that no session has is destroyed");
    await (await attach(dependencies, provider, id))?.destroy();
  });
}

async function namesOf(
  database: Kysely<Tables>,
  listed: readonly SandboxSummary[],
): Promise<ReadonlyMap<string, SandboxOwner & { readonly state: string }>> {
  if (listed.length === 0) return new Map();
  const ids = listed.map(({ id }) => id);
  const rows = await database
    .selectFrom("sandboxes")
    .select(["sandbox_id", "session_id as sessionId", "organization_id as organizationId", "state"])
    .where("sandbox_id", "in", ids)
    .execute();
  return new Map(rows.map(({ sandbox_id: id, ...row }) => [id ?? "", row]));
}

/** The row says so before the next command asks: the session's figures are right. */
async function markGone(
  dependencies: SandboxDependencies,
  name: string,
  provider: SandboxProvider,
  listed: readonly SandboxSummary[],
  { silentMs }: ReconcilePatience,
): Promise<void> {
  const present = new Set(listed.map(({ id }) => id));
  const { rows } = await sql<{ session_id: string; sandbox_id: string }>`
    select session_id, sandbox_id from sandboxes
    where provider = ${name} and sandbox_id is not null
      and updated_at <= clock_timestamp() - ${silentMs}::float8 * interval '1 millisecond'`.execute(
    dependencies.database,
  );
  const missing = rows.filter(({ sandbox_id: id }) => !present.has(id));
  await each(dependencies, missing, async (row) => {
    // Made or found since the list was read.
    if ((await attach(dependencies, provider, row.sandbox_id)) !== null) return;
    await sql`
      update sandboxes set sandbox_id = null, state = 'gone', updated_at = clock_timestamp()
      where session_id = ${row.session_id} and sandbox_id = ${row.sandbox_id}`.execute(dependencies.database);
  });
}

/** Awake though the row says that they sleep: a server died between the two. */
async function suspendSleepers(
  dependencies: SandboxDependencies,
  listed: readonly SandboxSummary[],
  { silentMs }: ReconcilePatience,
): Promise<void> {
  const awake = listed.filter(({ state }) => state === "awake");
  await each(dependencies, await namesOf(dependencies.database, awake), async ([id, row]) => {
    if (row.state !== "suspended") return;
    const { rows } = await sql<{ calm: boolean }>`
      select updated_at <= clock_timestamp() - ${silentMs}::float8 * interval '1 millisecond' as calm
      from sandboxes where sandbox_id = ${id}`.execute(dependencies.database);
    const held = rows[0]?.calm === true ? await findHeld(dependencies, row) : null;
    if (held !== null) await suspendIdle(dependencies, held);
  });
}

/** Awake for a command that nobody follows any more: it stands still until somebody joins it. */
async function calmSilent(dependencies: SandboxDependencies, { silentMs }: ReconcilePatience): Promise<void> {
  const { rows } = await sql<SandboxOwner>`
    update sandboxes set running_command = null
    where sandbox_id is not null and state = 'awake' and not ${isLeased}
      and used_at <= clock_timestamp() - ${silentMs}::float8 * interval '1 millisecond'
    returning session_id as "sessionId", organization_id as "organizationId"`.execute(dependencies.database);
  await each(dependencies, rows, async (owner) => {
    const held = await findHeld(dependencies, owner);
    if (held !== null) await suspendUnused(dependencies, held);
  });
}
