/** Workers that share sessions' sandboxes, for tests of races and crashes: sandboxes in memory, a real Postgres. @module */
import type { FilePiece, PlacedEntry } from "@exoloop/sandbox/session";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { createMemoryProvider, type MemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { createId } from "@exoloop/protocol/ids";
import { createTestDatabase } from "../db/testing.ts";
import { createNoticeBoard } from "../sessions/notice-board.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createCommandRunner, type CommandRunnerDependencies } from "./command-runner.ts";
import type { LeaseDependencies, SnapshotPort } from "./lease.ts";
import { readInstallation } from "./life/installation.ts";
import type { SandboxOwner } from "./workspace.ts";
import { createWorkspaces } from "./workspaces.ts";

export type MemoryWorld = Awaited<ReturnType<typeof startMemoryWorld>>;
export type Worker = CommandRunnerDependencies;

interface CommandOptions {
  readonly commandId?: string;
  readonly reattach?: boolean;
  readonly toldToModel?: boolean;
  readonly timeoutMs?: number;
}

export async function startMemoryWorld() {
  const test = await createTestDatabase();
  const { database } = test;
  const log = createLogger("silent");
  const notices = await createNoticeBoard({ connectionString: test.url, log });
  const memory = createMemoryProvider({ id: "memory" });
  const other = createMemoryProvider({ id: "other" });
  const base: LeaseDependencies = {
    database,
    providers: new Map([memory, other].map((provider) => [provider.id, provider])),
    defaultProvider: "memory",
    installation: await readInstallation(database),
    snapshots: createMemorySnapshots(test.database),
    notices,
    resources: { memoryBytes: 2 ** 28, processes: 64, cpus: 1, diskBytes: 2 ** 26, files: 10_000 },
    log,
  };
  const rowOf = (owner: SandboxOwner) =>
    database.selectFrom("sandboxes").selectAll().where("session_id", "=", owner.sessionId).executeTakeFirstOrThrow();
  return {
    database,
    notices,
    memory,
    other,
    base,
    rowOf,
    createOwner: (): Promise<SandboxOwner> => insertTestSession(database),
    /** The parts of one worker; `changed` replaces some of them. */
    worker(
      changed: Partial<CommandRunnerDependencies> = {},
      options: Parameters<typeof createWorkspaces>[1] = {},
    ): CommandRunnerDependencies {
      const projection = { before: () => Promise.resolve(), after: () => Promise.resolve(null) };
      const parts = { ...base, projection, ...changed };
      return { ...parts, workspaces: createWorkspaces(parts, options) };
    },
    run: (worker: Worker, owner: SandboxOwner, command: string, options: CommandOptions = {}) =>
      createCommandRunner(worker, owner).run({
        commandId: options.commandId ?? crypto.randomUUID(),
        command,
        timeoutMs: options.timeoutMs ?? 20_000,
        abortSignal: new AbortController().signal,
        reattach: options.reattach ?? false,
        ...(options.toldToModel === undefined ? {} : { toldToModel: options.toldToModel }),
      }),
    async sandboxOf(owner: SandboxOwner, provider: MemoryProvider = memory): Promise<Sandbox> {
      const { sandbox_id: id } = await rowOf(owner);
      if (id === null) throw new Error("no sandbox");
      return provider.attach({ provider: provider.id, id });
    },
    async lose(owner: SandboxOwner): Promise<void> {
      memory.controls.lose((await rowOf(owner)).sandbox_id ?? "");
    },
    /** Whether the sandbox's workload may run at this moment. */
    async isAwake(owner: SandboxOwner, provider: MemoryProvider = memory): Promise<boolean> {
      const row = await database
        .selectFrom("sandboxes")
        .select("sandbox_id")
        .where("session_id", "=", owner.sessionId)
        .executeTakeFirst();
      return (await provider.list()).some(({ id, state }) => id === row?.sandbox_id && state === "awake");
    },
    async stop() {
      await memory.close();
      await other.close();
      await notices.close();
      await test.drop();
    },
  };
}

/** Waits until `look` says so. */
export async function eventually(look: () => Promise<boolean>, milliseconds = 5_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await look())) {
    if (Date.now() > end) throw new Error("it did not come to this");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Files as they are, by the identifier of the snapshot: as small as a snapshot can be. */
function createMemorySnapshots(database: LeaseDependencies["database"]): SnapshotPort {
  const stored = new Map<string, readonly PlacedEntry[]>();
  return {
    async take({ owner, sandbox, generation }) {
      const id = createId("snapshot");
      stored.set(id, await readEntries(sandbox));
      await database
        .updateTable("sandboxes")
        .set({ snapshot_id: id, snapshot_at: new Date() })
        .where("session_id", "=", owner.sessionId)
        .where("generation", "=", generation)
        .execute();
    },
    async restore(_owner, snapshotId, sandbox) {
      await sandbox.session.placeEntries({ entries: stored.get(snapshotId) ?? [] });
    },
  };
}

async function readEntries({ session }: Sandbox): Promise<readonly PlacedEntry[]> {
  const tree = await session.listTree({ path: "/workspace" });
  const paths = tree.filter(({ kind }) => kind === "file").map(({ path }) => path);
  const files = new Map<string, FilePiece[]>();
  let current: FilePiece[] = [];
  for await (const part of session.fetchFiles({ paths })) {
    if (part.type === "file") files.set(part.path, (current = []));
    if (part.type === "piece") current.push(part.piece);
  }
  return tree.flatMap(({ path, kind, mode }): PlacedEntry[] => {
    if (kind === "directory") return [{ kind, path, mode }];
    const pieces = files.get(path);
    return pieces === undefined ? [] : [{ kind: "file", path, mode, content: inPieces(pieces) }];
  });
}

function inPieces(pieces: readonly FilePiece[]): AsyncIterable<FilePiece> {
  return {
    async *[Symbol.asyncIterator]() {
      yield* pieces;
    },
  };
}
