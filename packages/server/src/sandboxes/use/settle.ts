/**
 * What is written after a command, in one statement. Awake time is counted on the database's clock, from the instant up
 * to which it has been counted before: by whoever comes first, once, whoever died meanwhile.
 * @module
 */
import { sql } from "kysely";
import type { HeldSandbox, SandboxDependencies } from "../held-sandbox.ts";
import { attemptOf, type CommandIntent } from "./intent.ts";

export interface Settled {
  /**
   * `current`: the sandbox is this command's to suspend and to capture from.
   * `overtaken`: another driver has started another command in it: it is left alone.
   * `replaced`: the session has another sandbox; what the command did is lost.
   */
  readonly standing: "current" | "overtaken" | "replaced";
  /** Milliseconds that the command's result tells: its own, and what nobody has told before. */
  readonly awakeMs: number;
  /** A background command keeps the sandbox awake. */
  readonly leased: boolean;
  /** The row says that the sandbox is awake, for whatever else. */
  readonly awake: boolean;
}

/** A lease that is open and was given in this generation. `row` is the sandbox's. */
export const isLeased = sql<boolean>`exists (
  select from sandbox_leases lease where lease.session_id = sandboxes.session_id
    and lease.generation = sandboxes.generation and lease.ended_at is null and lease.until > clock_timestamp())`;

/**
 * The statement's commit does not wait for the disk. The result that tells of it is appended afterwards and does: where
 * that is on the disk, this is too; where it is not, the command is joined again, and this written again.
 */
const committedLazily = sql`set_config('synchronous_commit', 'off', true)`;

/** @param resumeMs How long the thaw took; null when it was awake. */
export async function settleCommand(
  { database }: Pick<SandboxDependencies, "database">,
  { owner, generation }: HeldSandbox,
  { commandId, toldToModel }: CommandIntent,
  resumeMs: number | null,
): Promise<Settled> {
  const attempt = attemptOf(commandId, generation);
  const told = sql`case when told_command = ${commandId} then told_milliseconds else 0 end
    + owed_milliseconds + before.elapsed`;
  const resumes =
    resumeMs === null
      ? sql`resume_milliseconds`
      : sql`(array_append(resume_milliseconds, ${resumeMs}::float8))[greatest(1, cardinality(resume_milliseconds) - 998):]`;
  const { rows } = await sql<{
    awakeMs: number;
    leased: boolean;
    awake: boolean;
    generation: number;
    current: boolean;
  }>`
    with before as (
      select session_id, generation, state, ${attempt} = coalesce(running_command, command_attempts[cardinality(command_attempts)])
          as current,
        clock_timestamp() as at, ${isLeased} as leased, ${committedLazily} as lazily,
        greatest(0, coalesce(extract(epoch from clock_timestamp() - awake_since) * 1000, 0))::float8 as elapsed
      from sandboxes where session_id = ${owner.sessionId} for update
    ), settled as (
      update sandboxes set state = case when before.leased then 'awake' else 'suspended' end,
        awake_since = case when before.leased then before.at end, running_command = null,
        used_at = before.at, updated_at = before.at,
        awake_milliseconds = awake_milliseconds + before.elapsed, resume_milliseconds = ${resumes},
        ${
          toldToModel
            ? sql`owed_milliseconds = 0, told_command = ${commandId}, told_milliseconds = ${told}`
            : sql`told_command = told_command`
        }
      from before where sandboxes.session_id = before.session_id and before.current
      returning ${toldToModel ? sql`told_milliseconds` : sql`before.elapsed`} as milliseconds
    )
    select coalesce((select milliseconds from settled), 0) as "awakeMs", leased, generation,
      state = 'awake' as awake, coalesce(current, false) as current
    from before`.execute(database);
  const row = rows[0];
  if (row === undefined || row.generation !== generation)
    return { standing: "replaced", awakeMs: 0, leased: false, awake: false };
  const standing = row.current ? "current" : "overtaken";
  return { standing, awakeMs: Math.round(row.awakeMs), leased: row.leased, awake: row.awake };
}

/**
 * Says that the sandbox is put to sleep, unless a command or a background command uses it; whoever is told true
 * suspends it. The time counts for the next result.
 */
export async function settleUnused(
  { database }: Pick<SandboxDependencies, "database">,
  { owner, generation }: Pick<HeldSandbox, "owner" | "generation">,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    with before as (
      select session_id, clock_timestamp() as at,
        greatest(0, coalesce(extract(epoch from clock_timestamp() - awake_since) * 1000, 0))::float8 as elapsed
      from sandboxes
      where session_id = ${owner.sessionId} and generation = ${generation} and state = 'awake'
        and running_command is null and not ${isLeased}
      for update
    )
    update sandboxes set state = 'suspended', awake_since = null, updated_at = before.at,
      awake_milliseconds = awake_milliseconds + before.elapsed, owed_milliseconds = owed_milliseconds + before.elapsed
    from before where sandboxes.session_id = before.session_id`.execute(database);
  return numAffectedRows === 1n;
}
