/** What is written before a command is sent, in one statement: the intent, and what its result will tell the model. @module */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import type { HeldSandbox, SandboxDependencies } from "../held-sandbox.ts";
import type { StoredNotice } from "../notices.ts";

type Database = Pick<SandboxDependencies, "database">;

export interface CommandIntent {
  readonly commandId: string;
  /** Whether the result is told to the model: then it takes the notices that wait for one. */
  readonly toldToModel: boolean;
}

export interface WrittenIntent {
  readonly notices: readonly StoredNotice[];
  /** The sandbox slept when this was written: a command begins only when it is thawed. */
  readonly wasAsleep: boolean;
}

export function attemptOf(commandId: string, generation: number): string {
  return `${commandId}@${generation}`;
}

/** Null when the held sandbox is not the session's sandbox any more: nothing may be sent to it. */
export async function writeIntent(
  { database }: Database,
  { owner, sandbox, generation }: HeldSandbox,
  { commandId, toldToModel }: CommandIntent,
): Promise<WrittenIntent | null> {
  const attempt = attemptOf(commandId, generation);
  const { rows } = await sql<WrittenIntent>`
    with before as (
      select session_id, state <> 'awake' as was_asleep from sandboxes
      where session_id = ${owner.sessionId} and generation = ${generation} and sandbox_id = ${sandbox.reference.id}
      for update
    )
    update sandboxes set state = 'awake', awake_since = coalesce(awake_since, clock_timestamp()),
      used_at = clock_timestamp(), updated_at = clock_timestamp(), running_command = ${attempt},
      commands = commands + 1,
      command_attempts = (array_append(command_attempts, ${attempt}::text))[greatest(1, cardinality(command_attempts) - 98):],
      notices = ${toldToModel ? takenBy(commandId) : sql`notices`}
    from before where sandboxes.session_id = before.session_id
    returning notices, before.was_asleep as "wasAsleep"`.execute(database);
  return rows[0] ?? null;
}

/** Those of earlier commands have been told with their results. */
function takenBy(commandId: string): RawBuilder<unknown> {
  return sql`(
    select coalesce(jsonb_agg(notice || jsonb_build_object('by', ${commandId}::text) order by place), '[]')
    from jsonb_array_elements(notices) with ordinality as stored(notice, place)
    where not notice ? 'by' or notice->>'by' = ${commandId})`;
}

/** For a command that is not sent again: what its result tells, of its loss and of awake time that nobody has told. */
export async function takeLoss(
  { database }: Database,
  { owner }: Pick<HeldSandbox, "owner">,
  { commandId, toldToModel }: CommandIntent,
): Promise<{ readonly notices: readonly StoredNotice[]; readonly awakeMs: number }> {
  if (!toldToModel) {
    const row = await database
      .selectFrom("sandboxes")
      .select("notices")
      .where("session_id", "=", owner.sessionId)
      .executeTakeFirst();
    return { notices: row?.notices ?? [], awakeMs: 0 };
  }
  const { rows } = await sql<{ notices: readonly StoredNotice[]; awakeMs: number }>`
    update sandboxes set notices = ${takenBy(commandId)}, owed_milliseconds = 0, told_command = ${commandId},
      told_milliseconds = case when told_command = ${commandId} then told_milliseconds else 0 end + owed_milliseconds
    where session_id = ${owner.sessionId}
    returning notices, told_milliseconds as "awakeMs"`.execute(database);
  return { notices: rows[0]?.notices ?? [], awakeMs: Math.round(rows[0]?.awakeMs ?? 0) };
}

/** The command certainly did not begin in this generation: it may run in another one, also after a crash. */
export async function withdrawIntent({ database }: Database, held: HeldSandbox, commandId: string): Promise<void> {
  const attempt = attemptOf(commandId, held.generation);
  await sql`
    update sandboxes set command_attempts = array_remove(command_attempts, ${attempt}),
      running_command = nullif(running_command, ${attempt})
    where session_id = ${held.owner.sessionId}`.execute(database);
}

/** Where this command may have been sent to: nowhere yet, this generation's sandbox, or one that is gone. */
export async function traceOf(
  { database }: Database,
  { owner, generation }: HeldSandbox,
  commandId: string,
): Promise<"nowhere" | "here" | "elsewhere"> {
  const row = await database
    .selectFrom("sandboxes")
    .select("command_attempts")
    .where("session_id", "=", owner.sessionId)
    .executeTakeFirst();
  const attempts = (row?.command_attempts ?? []).filter((attempt) => attempt.startsWith(`${commandId}@`));
  if (attempts.some((attempt) => attempt !== attemptOf(commandId, generation))) return "elsewhere";
  return attempts.length === 0 ? "nowhere" : "here";
}

/** Says that somebody still follows the command. False: it is not the session's running command any more. */
export async function signLife(database: Kysely<Tables>, held: HeldSandbox, commandId: string): Promise<boolean> {
  const { numUpdatedRows } = await database
    .updateTable("sandboxes")
    .set({ used_at: sql<Date>`clock_timestamp()` })
    .where("session_id", "=", held.owner.sessionId)
    .where("running_command", "=", attemptOf(commandId, held.generation))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}
