/** Workers that share a session's sandbox, for tests: real sandbox host, real Postgres. @module */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import { createTestDatabase } from "../db/testing.ts";
import { createNoticeBoard } from "../sessions/notice-board.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createDirectoryBlobStore } from "./blobs.ts";
import { createCommandRunner, type CommandRunnerDependencies } from "./command-runner.ts";
import { readSandboxFigures } from "./summary.ts";
import type { SandboxOwner } from "./workspace.ts";
import { createWorkspaces } from "./workspaces.ts";

const log = createLogger("silent");

export type SandboxTest = Awaited<ReturnType<typeof startSandboxTest>>;

export async function startSandboxTest() {
  const directory = await mkdtemp(join(tmpdir(), "exoloop-sandboxes-"));
  const test = await createTestDatabase();
  const host = await startSandboxHost({ directory: join(directory, "host"), mode: "auto" });
  const provider = await createLocalProvider({ socketPath: host.socketPath });
  const notices = await createNoticeBoard({ connectionString: test.url, log });
  return {
    provider,
    createOwner: () => insertTestSession(test.database),
    /** The parts of one worker; `changed` replaces some of them. */
    worker(changed: Partial<CommandRunnerDependencies> = {}): CommandRunnerDependencies {
      const parts = {
        database: test.database,
        provider,
        notices,
        blobs: createDirectoryBlobStore(join(directory, "blobs")),
        resources: { memoryBytes: 512 * 1024 ** 2, processes: 128, diskBytes: 1024 ** 3 },
        projection: { before: () => Promise.resolve(), after: () => Promise.resolve(null) },
        ...changed,
      };
      return { ...parts, workspaces: createWorkspaces({ ...parts, log }) };
    },
    run: (worker: CommandRunnerDependencies, owner: SandboxOwner, command: string, options: CommandOptions = {}) =>
      createCommandRunner(worker, owner).run({
        commandId: options.commandId ?? crypto.randomUUID(),
        command,
        timeoutMs: 20_000,
        abortSignal: new AbortController().signal,
        reattach: options.reattach ?? false,
      }),
    async destroyBehindOurBack(owner: SandboxOwner): Promise<void> {
      const figures = (await readSandboxFigures(test.database, [owner.sessionId])).get(owner.sessionId);
      if (figures?.sandbox_id == null) throw new Error("no sandbox");
      await (await provider.attach({ provider: provider.id, id: figures.sandbox_id })).destroy();
    },
    async stop() {
      await provider.close();
      await host.stop();
      await notices.close();
      await test.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

interface CommandOptions {
  readonly commandId?: string;
  readonly reattach?: boolean;
}
