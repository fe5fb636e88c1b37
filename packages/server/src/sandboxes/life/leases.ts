/**
 * Leases: a command in the background keeps its sandbox awake until it ends or its time is up. They are rows, so the
 * death of the worker that gave one changes nothing: any worker's periodic work ends it.
 * @module
 */
import { sql } from "kysely";
import type { HeldSandbox, SandboxDependencies } from "../held-sandbox.ts";
import type { SandboxNotice } from "../notices.ts";
import { suspendUnused } from "../use/suspend.ts";
import type { SandboxOwner } from "../workspace.ts";
import { findHeld } from "./acquire.ts";
import { tellAllOwed, tellOwed } from "./owed.ts";

/** Seconds. */
export const leaseLimits = { least: 1, standard: 600, most: 6 * 3600 } as const;

type Database = Pick<SandboxDependencies, "database">;

/** Before the command is sent. A second one for the same command is the first, in its generation. */
export async function openLease(
  { database }: Database,
  { owner, generation }: HeldSandbox,
  { commandId, command, seconds }: { readonly commandId: string; readonly command: string; readonly seconds: number },
): Promise<Date> {
  const { rows } = await sql<{ until: Date }>`
    insert into sandbox_leases (session_id, command_id, organization_id, generation, command, until)
    values (${owner.sessionId}, ${commandId}, ${owner.organizationId}, ${generation}, ${command},
      clock_timestamp() + ${clamp(seconds)}::float8 * interval '1 second')
    on conflict (session_id, command_id) do update set generation = excluded.generation, until = excluded.until,
      ended_at = null, ended = null
    returning until`.execute(database);
  const row = rows[0];
  if (row === undefined) throw new Error(`session ${owner.sessionId}: a lease was not written`);
  return row.until;
}

/**
 * From now on for so long, also when its time was up: the caller then thaws the sandbox. Null when the command has
 * ended, or its sandbox is gone.
 */
export async function extendLease(
  { database }: Database,
  { sessionId }: SandboxOwner,
  commandId: string,
  seconds: number,
): Promise<Date | null> {
  const { rows } = await sql<{ until: Date }>`
    update sandbox_leases lease set until = clock_timestamp() + ${clamp(seconds)}::float8 * interval '1 second',
      ended_at = null, ended = null
    from sandboxes
    where lease.session_id = ${sessionId} and lease.command_id = ${commandId}
      and (lease.ended_at is null or lease.ended = 'expired')
      and sandboxes.session_id = lease.session_id and sandboxes.generation = lease.generation
      and sandboxes.sandbox_id is not null
    returning lease.until`.execute(database);
  return rows[0]?.until ?? null;
}

/** Ends it once; the sandbox sleeps when nothing else keeps it awake, and its time is accounted for. */
export async function endLease(
  dependencies: SandboxDependencies,
  held: HeldSandbox,
  commandId: string,
  ended: "command_ended" | "expired",
): Promise<void> {
  const notice: SandboxNotice = { type: "lease_expired", commandId };
  const added = JSON.stringify(ended === "expired" ? [notice] : []);
  // Renewed in this very moment, it has not run out.
  const due = ended === "expired" ? sql`until <= clock_timestamp()` : sql`true`;
  await sql`
    with ended as (
      update sandbox_leases set ended_at = clock_timestamp(), ended = ${ended}
      where session_id = ${held.owner.sessionId} and command_id = ${commandId} and generation = ${held.generation}
        and ended_at is null and ${due}
      returning session_id
    )
    update sandboxes set notices = notices || ${added}::jsonb
    from ended where sandboxes.session_id = ended.session_id`.execute(dependencies.database);
  await suspendUnused(dependencies, held);
  await tellOwed(dependencies, held.owner.sessionId);
}

interface OpenLease extends SandboxOwner {
  readonly commandId: string;
  readonly generation: number;
  readonly due: boolean;
}

/**
 * One round: ends what is due, and what has ended while nobody followed it; what sandboxes were awake for at last is
 * accounted for. Periodic work of one worker at a time, and
 * harmless in two. `afterEnd` captures what the command has changed.
 */
export async function endDueLeases(
  dependencies: SandboxDependencies,
  afterEnd: (owner: SandboxOwner) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { rows } = await sql<OpenLease>`
    select lease.session_id as "sessionId", lease.organization_id as "organizationId", command_id as "commandId",
      lease.generation, until <= clock_timestamp() as due
    from sandbox_leases lease where ended_at is null`.execute(dependencies.database);
  for (const open of rows) {
    if (signal?.aborted === true) return;
    try {
      const held = await findHeld(dependencies, { sessionId: open.sessionId, organizationId: open.organizationId });
      if (held === null || held.generation !== open.generation) await dropLease(dependencies, open);
      else if (open.due || (await hasEnded(held, open.commandId))) {
        await endLease(dependencies, held, open.commandId, open.due ? "expired" : "command_ended");
        await afterEnd(held.owner);
      }
    } catch (error) {
      dependencies.log.warn({ session: open.sessionId, command: open.commandId, error }, "lease not looked at");
    }
  }
  await tellAllOwed(dependencies, signal);
}

async function hasEnded({ sandbox }: HeldSandbox, commandId: string): Promise<boolean> {
  const command = (await sandbox.session.listCommands()).find((known) => known.commandId === commandId);
  // A lease is written before its command is sent: one that is not known yet may still come.
  return command !== undefined && command.exit !== null;
}

async function dropLease({ database }: Database, { sessionId, commandId, generation }: OpenLease): Promise<void> {
  await database
    .updateTable("sandbox_leases")
    .set({ ended_at: new Date(), ended: "sandbox_gone" })
    .where("session_id", "=", sessionId)
    .where("command_id", "=", commandId)
    .where("generation", "=", generation)
    .where("ended_at", "is", null)
    .execute();
}

function clamp(seconds: number): number {
  return Math.min(Math.max(seconds, leaseLimits.least), leaseLimits.most);
}
