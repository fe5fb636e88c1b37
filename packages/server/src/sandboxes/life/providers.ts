/** Which provider makes a session's sandbox. @module */
import type { SandboxProvider } from "@exoloop/sandbox/contract";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { SandboxDependencies } from "../held-sandbox.ts";

type Providers = Pick<SandboxDependencies, "providers" | "defaultProvider">;

/** @throws SandboxUnavailableError when this server has no such provider. */
export function providerNamed({ providers }: Providers, name: string): SandboxProvider {
  const provider = providers.get(name);
  if (provider !== undefined) return provider;
  throw new SandboxUnavailableError(
    `This server has no sandbox provider named ${JSON.stringify(name.slice(0, 64))}.`,
    `It has ${[...providers.keys()].join(", ")}: move the session to one of these, or start the server with that provider.`,
  );
}

/** What a session begins with that has had no sandbox. Servers without sandboxes have written `unavailable` here. */
export function firstProvider({ defaultProvider }: Providers, row: { readonly provider: string }): string {
  return row.provider === "unavailable" ? defaultProvider : row.provider;
}
