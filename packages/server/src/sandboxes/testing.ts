/** Workers that share sessions' sandboxes, for tests: a real Postgres, real snapshots, and real sandboxes. @module */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import type { SandboxRuntime } from "@exoloop/sandbox/providers/local/host-messages";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import { createTestDatabase } from "../db/testing.ts";
import { createNoticeBoard } from "../sessions/notice-board.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createCommandRunner, type CommandRunnerDependencies } from "./command-runner.ts";
import type { SandboxDependencies } from "./held-sandbox.ts";
import { readInstallation } from "./life/installation.ts";
import { createSnapshots } from "./snapshots/stored-snapshots.ts";
import { createMemoryBlobs } from "./snapshots/testing.ts";
import type { SandboxOwner } from "./workspace.ts";
import { createWorkspaces } from "./workspaces.ts";

export type SandboxWorld = Awaited<ReturnType<typeof startSandboxWorld>>;
export type Worker = CommandRunnerDependencies;

interface CommandOptions {
  readonly commandId?: string;
  readonly reattach?: boolean;
  readonly toldToModel?: boolean;
  readonly timeoutMs?: number;
  readonly abortSignal?: AbortSignal;
}

/** @param providers The first is the default. */
export async function startSandboxWorld(first: SandboxProvider, ...others: readonly SandboxProvider[]) {
  const providers = [first, ...others];
  const test = await createTestDatabase();
  const { database } = test;
  const log = createLogger("silent");
  const notices = await createNoticeBoard({ connectionString: test.url, log });
  const blobs = createMemoryBlobs().store;
  const base: SandboxDependencies = {
    database,
    providers: new Map(providers.map((provider) => [provider.id, provider])),
    defaultProvider: first.id,
    installation: await readInstallation(database),
    snapshots: createSnapshots({ database, blobs, notices, log }),
    notices,
    resources: { memoryBytes: 2 ** 29, processes: 128, cpus: 1, diskBytes: 2 ** 30, files: 100_000 },
    log,
  };
  return {
    ...createLooks(base),
    database,
    notices,
    blobs,
    base,
    createOwner: (): Promise<SandboxOwner> => insertTestSession(database),
    /** The parts of one worker; `changed` replaces some of them. */
    worker(changed: Partial<Worker> = {}, options: Parameters<typeof createWorkspaces>[1] = {}): Worker {
      const projection = { before: () => Promise.resolve(), after: () => Promise.resolve(null) };
      const parts = { ...base, projection, ...changed };
      return { ...parts, workspaces: createWorkspaces(parts, options) };
    },
    run: (worker: Worker, owner: SandboxOwner, command: string, options: CommandOptions = {}) =>
      createCommandRunner(worker, owner).run({
        commandId: crypto.randomUUID(),
        command,
        timeoutMs: 20_000,
        abortSignal: new AbortController().signal,
        reattach: false,
        ...options,
      }),
    async stop() {
      for (const provider of providers) await provider.close();
      await notices.close();
      await test.drop();
    },
  };
}

/** What tests look at. */
function createLooks({ database, providers }: SandboxDependencies) {
  const rowOf = (owner: SandboxOwner) =>
    database.selectFrom("sandboxes").selectAll().where("session_id", "=", owner.sessionId).executeTakeFirstOrThrow();
  return {
    rowOf,
    async sandboxOf(owner: SandboxOwner): Promise<Sandbox> {
      const { sandbox_id: id, provider } = await rowOf(owner);
      const found = providers.get(provider);
      if (id === null || found === undefined) throw new Error("no sandbox");
      return found.attach({ provider, id });
    },
    /** Whether the sandbox's workload may run at this moment. */
    async isAwake(owner: SandboxOwner): Promise<boolean> {
      const row = await database
        .selectFrom("sandboxes")
        .select("sandbox_id")
        .where("session_id", "=", owner.sessionId)
        .executeTakeFirst();
      const listed = await Promise.all([...providers.values()].map((provider) => provider.list()));
      return listed.flat().some(({ id, state }) => id === row?.sandbox_id && state === "awake");
    },
  };
}

export type SandboxTest = Awaited<ReturnType<typeof startSandboxTest>>;

/** With this machine's sandbox host. */
export async function startSandboxTest(runtime: SandboxRuntime = "bubblewrap") {
  const directory = await mkdtemp(join(tmpdir(), "exoloop-sandboxes-"));
  const host = await startSandboxHost({ directory, mode: "auto", endsWithParent: true });
  const provider = await createLocalProvider({ socketPath: host.socketPath, runtime });
  const world = await startSandboxWorld(provider);
  return {
    ...world,
    provider,
    /** Kills its supervisor, and with it everything inside; nobody is told. */
    async killBehindOurBack(owner: SandboxOwner): Promise<void> {
      const { sandbox_id: id } = await world.rowOf(owner);
      process.kill(await findSupervisor(host.sandboxesDirectory, id), "SIGKILL");
    },
    async destroyBehindOurBack(owner: SandboxOwner): Promise<void> {
      await (await world.sandboxOf(owner)).destroy();
    },
    async stop() {
      await world.stop();
      await host.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function findSupervisor(directory: string, id: string | null): Promise<number> {
  for (const slot of await readdir(directory)) {
    const text = await readFile(join(directory, slot, "state.json"), "utf8").catch(() => "{}");
    const state: unknown = JSON.parse(text);
    if (typeof state !== "object" || state === null || !("id" in state) || state.id !== id) continue;
    if ("supervisorPid" in state && typeof state.supervisorPid === "number") return state.supervisorPid;
  }
  throw new Error("no supervisor");
}

/** Waits until `look` says so. */
export async function eventually(look: () => Promise<boolean>, milliseconds = 5_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await look())) {
    if (Date.now() > end) throw new Error("it did not come to this");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
