/**
 * A broken provider: it walks while it sleeps, forgets what it made, makes things twice, and what it destroyed lives on.
 * @module
 */
import type { Sandbox, SandboxProvider, SandboxSummary } from "../../contract.ts";
import { type Distortion, distort } from "./distort.ts";

function forgetful<T extends SandboxSummary>(status: T): T {
  return { ...status, owner: "", state: "awake", createdAt: 0 };
}

/** Sleeps only in name: the first command afterwards fails, what is written or killed meanwhile is lost. */
function walkInSleep(base: Sandbox): Partial<Sandbox> {
  let asleep = false;
  let groggy = false;
  const { session } = base;
  return {
    reference: { ...base.reference, provider: "forgotten" },
    async status() {
      return { ...forgetful(await base.status()), runningCommands: [] };
    },
    async suspend() {
      asleep = true;
      groggy = true;
      return { milliseconds: -1 };
    },
    async resume() {
      asleep = false;
      return base.resume();
    },
    // It lives on.
    destroy: () => Promise.resolve(),
    session: {
      ...session,
      async spawn(options) {
        if (groggy && !asleep) {
          groggy = false;
          throw new Error("socket hang up");
        }
        const process = await session.spawn(options);
        return {
          ...process,
          kill: () => (asleep ? Promise.resolve() : process.kill()),
          writeStdin: (bytes) => (asleep ? Promise.resolve(true) : process.writeStdin(bytes)),
        };
      },
    },
  };
}

export function createSleepwalker(base: SandboxProvider): SandboxProvider {
  const made = new Map<string, string[]>();
  const createAgain = async (request: Parameters<SandboxProvider["create"]>[0]): Promise<Sandbox> => {
    const names = made.get(request.id) ?? [];
    const name = `${request.id}-${names.length}`;
    made.set(request.id, [...names, name]);
    const sandbox = await base.create({ ...request, id: name });
    await sandbox.resume();
    return sandbox;
  };
  const provider: Distortion["provider"] = (_base, hand) => ({
    create: async (request) => hand(await createAgain(request)),
    async attach({ id }) {
      const name = made.get(id)?.at(-1);
      if (name !== undefined) return hand(await base.attach({ provider: base.id, id: name }));
      return hand(await createAgain({ id, owner: "", resources: anyResources, environment: {} }));
    },
    async list() {
      return (await base.list()).map((status) => ({ ...forgetful(status), id: status.id.replace(/-\d+$/, "") }));
    },
    async keepWarm(request) {
      await base.create({ id: `pool-${made.size}-0`, owner: "", ...request });
    },
  });
  return distort(base, { sandbox: walkInSleep, provider });
}

const anyResources = { memoryBytes: 1 << 28, processes: 100, cpus: 1, diskBytes: 1 << 28, files: 10_000 };
