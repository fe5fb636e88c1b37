/**
 * A session's sandbox: found, created, or replaced. The row in Postgres names the current generation; a sandbox is
 * written there only when its workspace is complete, so a crash in the middle of a restore leaves no half workspace, but
 * a sandbox that no row names: the reconciler's.
 * @module
 */
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { SandboxGoneError, SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { sql } from "kysely";
import type { HeldSandbox, SandboxDependencies } from "../held-sandbox.ts";
import { withDeadlines } from "../use/deadlines.ts";
import type { SandboxOwner } from "../workspace.ts";
import { createGeneration, type SandboxRow } from "./create-generation.ts";
import { providerNamed } from "./providers.ts";

/**
 * Attaches to the session's sandbox, or makes the next generation from its last snapshot. Counts as a use: an idle
 * sandbox is not put away afterwards.
 * @throws SandboxUnavailableError for a session of a self-hosted environment
 */
export async function acquire(dependencies: SandboxDependencies, owner: SandboxOwner): Promise<HeldSandbox> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const row = await touchRow(dependencies, owner);
    if (row.sandbox_id !== null) {
      const sandbox = await attach(dependencies, providerNamed(dependencies, row.provider), row.sandbox_id);
      if (sandbox !== null) return { owner, sandbox, generation: row.generation };
    }
    const held = await createGeneration(dependencies, owner, row);
    // Null: another worker was faster, and its generation is the one to use.
    if (held !== null) return held;
  }
  throw new Error(`session ${owner.sessionId}: its sandbox is replaced over and over`);
}

/** The session's sandbox as it is; null when it has none, or the one that it had is gone. */
export async function findHeld(dependencies: SandboxDependencies, owner: SandboxOwner): Promise<HeldSandbox | null> {
  const row = await dependencies.database
    .selectFrom("sandboxes")
    .select(["sandbox_id", "generation", "provider"])
    .where("session_id", "=", owner.sessionId)
    .executeTakeFirst();
  if (row === undefined || row.sandbox_id === null) return null;
  const sandbox = await attach(dependencies, providerNamed(dependencies, row.provider), row.sandbox_id);
  return sandbox === null ? null : { owner, sandbox, generation: row.generation };
}

async function touchRow({ database, defaultProvider }: SandboxDependencies, owner: SandboxOwner): Promise<SandboxRow> {
  const { rows } = await sql<SandboxRow>`
    insert into sandboxes (session_id, organization_id, provider)
    select ${owner.sessionId}, ${owner.organizationId}, coalesce(min(config->'x_exoloop'->>'provider'), ${defaultProvider})
    from environments join sessions on sessions.environment_id = environments.id
    where sessions.id = ${owner.sessionId}
    having coalesce(min(config->>'type'), 'cloud') <> 'self_hosted'
    on conflict (session_id) do update set used_at = clock_timestamp()
    returning sandbox_id, generation, provider, state, released, snapshot_id, snapshot_at`.execute(database);
  const row = rows[0];
  if (row !== undefined) return row;
  throw new SandboxUnavailableError(
    "The session's environment is self-hosted: it has no sandbox of this server.",
    "Its tools run where its worker is; look there.",
  );
}

/** Null when it is gone. */
export async function attach(
  { log }: Pick<SandboxDependencies, "log">,
  provider: SandboxProvider,
  id: string,
): Promise<Sandbox | null> {
  try {
    return withDeadlines(await provider.attach({ provider: provider.id, id }), log);
  } catch (error) {
    if (error instanceof SandboxGoneError) return null;
    throw error;
  }
}
