/** Thawing a sandbox for something that is no command in the foreground. @module */
import { sql } from "kysely";
import { type HeldSandbox, type SandboxDependencies, publishStatus } from "../held-sandbox.ts";

/**
 * False: the session has another sandbox. Whoever thaws puts it to sleep again (`suspendUnused`).
 * @throws SandboxGoneError
 */
export async function thaw(dependencies: SandboxDependencies, held: HeldSandbox): Promise<boolean> {
  const { owner, sandbox, generation } = held;
  const { rows } = await sql<{ wasAwake: boolean }>`
    with before as (
      select session_id, state = 'awake' as was_awake from sandboxes
      where session_id = ${owner.sessionId} and generation = ${generation} and sandbox_id = ${sandbox.reference.id}
      for update
    )
    update sandboxes set state = 'awake', awake_since = coalesce(awake_since, clock_timestamp()),
      used_at = clock_timestamp(), updated_at = clock_timestamp()
    from before where sandboxes.session_id = before.session_id
    returning before.was_awake as "wasAwake"`.execute(dependencies.database);
  const row = rows[0];
  if (row === undefined) return false;
  if (!row.wasAwake) publishStatus(dependencies, owner, "waking", generation, 0);
  const { milliseconds } = await sandbox.resume();
  if (row.wasAwake) return true;
  publishStatus(dependencies, owner, "awake", generation, milliseconds);
  await sql`
    update sandboxes set
      resume_milliseconds = (array_append(resume_milliseconds, ${milliseconds}::float8))[greatest(1, cardinality(resume_milliseconds) - 998):]
    where session_id = ${owner.sessionId}`.execute(dependencies.database);
  return true;
}
