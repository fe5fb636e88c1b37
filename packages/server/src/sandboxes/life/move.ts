/** A session moves to another provider: its workspace goes along, its processes do not. @module */
import { setTimeout as sleep } from "node:timers/promises";
import type { SandboxDependencies } from "../held-sandbox.ts";
import type { SandboxOwner } from "../workspace.ts";
import type { Workspaces } from "../workspaces.ts";
import { providerNamed } from "./providers.ts";
import { findUnused, putAway } from "./unused.ts";

const lookMs = 250;

/**
 * Waits for the command that runs, here or in another worker. The next command makes the sandbox there; background
 * commands end. Nothing changes when the session is there already.
 * @throws SandboxUnavailableError when this server has no such provider
 */
export async function moveSandbox(
  dependencies: SandboxDependencies & { readonly workspaces: Workspaces },
  owner: SandboxOwner,
  provider: string,
  signal?: AbortSignal,
): Promise<void> {
  providerNamed(dependencies, provider);
  await dependencies.workspaces.alone(owner, async () => {
    for (;;) {
      signal?.throwIfAborted();
      const found = await findUnused(dependencies, owner);
      if (found === null) return nameProvider(dependencies, owner, provider);
      if (found.provider === provider) return;
      if (!found.busy && (await putAway(dependencies, found, { released: "moved", provider }))) return;
      await sleep(lookMs, undefined, signal === undefined ? {} : { signal });
    }
  });
}

/** For a session without a sandbox: the next one is made there. */
async function nameProvider(
  { database }: SandboxDependencies,
  { sessionId, organizationId }: SandboxOwner,
  provider: string,
): Promise<void> {
  await database
    .insertInto("sandboxes")
    .values({ session_id: sessionId, organization_id: organizationId, provider })
    .onConflict((conflict) =>
      conflict.column("session_id").doUpdateSet({ provider }).where("sandboxes.sandbox_id", "is", null),
    )
    .execute();
}
