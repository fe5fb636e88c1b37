/** Connections to ports inside a sandbox: traffic thaws it, and half a minute without any puts it to sleep again. @module */
import { SandboxGoneError, SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { PortConnection } from "@exoloop/sandbox/session";
import { findHeld } from "../life/acquire.ts";
import type { HeldSandbox, SandboxDependencies } from "../held-sandbox.ts";
import { suspendUnused } from "../use/suspend.ts";
import { thaw } from "../use/thaw.ts";
import type { SandboxOwner } from "../workspace.ts";

export interface Ports {
  /**
   * Null: nobody listens there, or the session has no sandbox. None is made for this.
   * @throws SandboxGoneError; SandboxUnavailableError where its provider has no ports
   */
  connect(owner: SandboxOwner, port: number): Promise<PortConnection | null>;
}

/**
 * A command that ends suspends the sandbox under a connection. Bytes that come within so long of a thaw thaw it once
 * more when that time is over: they may be the last, and whoever sent them waits for an answer.
 */
const thawAgainMs = 1_000;

interface Traffic {
  readonly held: HeldSandbox;
  thawedAt: number;
  readonly quiet: NodeJS.Timeout;
  again: NodeJS.Timeout | undefined;
}

/** @param quietMs Without traffic on any of a sandbox's connections for so long, it sleeps. */
export function createPorts(dependencies: SandboxDependencies, quietMs = 30_000): Ports {
  const traffic = new Map<string, Traffic>();
  const note = (error: unknown) => dependencies.log.debug({ error }, "sandbox of a connection not reached");
  const againMs = Math.min(thawAgainMs, quietMs / 2);
  const sleep = (id: string, held: HeldSandbox) => {
    clearTimeout(traffic.get(id)?.again);
    traffic.delete(id);
    suspendUnused(dependencies, held).catch(note);
  };
  const thawAgain = (known: Traffic) => {
    known.again = undefined;
    known.thawedAt = performance.now();
    thaw(dependencies, known.held).catch(note);
  };
  /** Resolves when it is awake, or soon will be. */
  const see = async (held: HeldSandbox): Promise<void> => {
    const { id } = held.sandbox.reference;
    const known = traffic.get(id);
    if (known !== undefined) {
      known.quiet.refresh();
      const since = performance.now() - known.thawedAt;
      if (since < againMs) {
        known.again ??= setTimeout(thawAgain, againMs - since, known).unref();
        return;
      }
      known.thawedAt = performance.now();
    } else {
      const quiet = setTimeout(sleep, quietMs, id, held).unref();
      traffic.set(id, { held, thawedAt: performance.now(), quiet, again: undefined });
    }
    if (!(await thaw(dependencies, held))) throw new SandboxGoneError(id, "the session has another sandbox");
  };
  return {
    async connect(owner, port) {
      const held = await findHeld(dependencies, owner);
      if (held === null) return null;
      refusePortless(dependencies, held);
      await see(held);
      const connection = await held.sandbox.session.connectPort({ port });
      return connection === null ? null : watch(connection, () => see(held));
    },
  };
}

/** What a provider without a network of its own reached would be the host's. */
function refusePortless({ providers }: SandboxDependencies, { sandbox }: HeldSandbox): void {
  const { provider } = sandbox.reference;
  if (providers.get(provider)?.capabilities.ports === true) return;
  throw new SandboxUnavailableError(
    `ports of sandboxes of the provider ${provider} cannot be reached`,
    "Move the session to a provider that has the capability ports.",
  );
}

function watch({ readable, writable }: PortConnection, see: () => Promise<void>): PortConnection {
  const seen = () =>
    new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        await see();
        controller.enqueue(chunk);
      },
    });
  const outward = seen();
  // Whatever breaks is told by the streams themselves.
  outward.readable.pipeTo(writable).catch(() => undefined);
  return { readable: readable.pipeThrough(seen()), writable: outward.writable };
}
