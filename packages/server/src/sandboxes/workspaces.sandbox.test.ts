/** A session's sandbox through its life: real sandbox host, real Postgres, real loss. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { SandboxFileError, SandboxGoneError } from "@exoloop/sandbox/errors";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { type ClosableNoticeBoard, createNoticeBoard } from "../sessions/notice-board.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import { createLogger } from "../telemetry/logger.ts";
import { type BlobStore, createDirectoryBlobStore } from "./blobs.ts";
import { createCommandRunner, type CommandRunnerDependencies } from "./command-runner.ts";
import { readSandboxFigures } from "./summary.ts";
import type { SandboxOwner } from "./workspace.ts";
import { createWorkspaces } from "./workspaces.ts";

const log = createLogger("silent");
const noProjection = { before: () => Promise.resolve(), after: () => Promise.resolve(null) };

describe("a session's sandbox", () => {
  let directory: string;
  let test: TestDatabase;
  let host: Awaited<ReturnType<typeof startSandboxHost>>;
  let provider: SandboxProvider;
  let notices: ClosableNoticeBoard;
  let worker: () => CommandRunnerDependencies;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "exoloop-workspaces-"));
    test = await createTestDatabase();
    host = await startSandboxHost({ directory: join(directory, "host"), mode: "auto" });
    provider = await createLocalProvider({ socketPath: host.socketPath });
    notices = await createNoticeBoard({ connectionString: test.url, log });
    const lease = {
      database: test.database,
      provider,
      notices,
      blobs: createDirectoryBlobStore(join(directory, "blobs")),
      resources: { memoryBytes: 512 * 1024 ** 2, processes: 128, diskBytes: 1024 ** 3 },
    };
    worker = () => ({ ...lease, workspaces: createWorkspaces({ ...lease, log }), projection: noProjection });
  }, 60_000);

  afterAll(async () => {
    await provider.close();
    await host.stop();
    await notices.close();
    await test.drop();
    await rm(directory, { recursive: true, force: true });
  });

  const run = (
    dependencies: CommandRunnerDependencies,
    owner: SandboxOwner,
    command: string,
    commandId = crypto.randomUUID(),
  ) =>
    createCommandRunner(dependencies, owner).run({
      commandId,
      command,
      timeoutMs: 20_000,
      abortSignal: new AbortController().signal,
      reattach: false,
    });

  async function sandboxIdOf(owner: SandboxOwner): Promise<string> {
    const figures = (await readSandboxFigures(test.database, [owner.sessionId])).get(owner.sessionId);
    if (figures?.sandbox_id == null) throw new Error("no sandbox");
    return figures.sandbox_id;
  }

  async function destroyBehindOurBack(owner: SandboxOwner): Promise<void> {
    const sandbox = await provider.attach({ provider: provider.id, id: await sandboxIdOf(owner) });
    await sandbox.destroy();
  }

  it("does not exist before the first command, and keeps its files between commands", async () => {
    const owner = await insertTestSession(test.database);
    const dependencies = worker();
    expect((await readSandboxFigures(test.database, [owner.sessionId])).size).toBe(0);
    await run(dependencies, owner, "echo kept > file.txt");
    expect((await run(dependencies, owner, "cat file.txt")).output).toBe("kept\n");
    expect((await provider.list()).find(({ id }) => id.startsWith("sbx_"))?.state).toBe("suspended");
  });

  it("is found again by another worker", async () => {
    const owner = await insertTestSession(test.database);
    await run(worker(), owner, "echo shared > file.txt");
    const other = await run(worker(), owner, "cat file.txt");
    expect([other.output, other.notices]).toEqual(["shared\n", []]);
  });

  it("is replaced from its last snapshot when it is lost between commands, and the model is told", async () => {
    const owner = await insertTestSession(test.database);
    const dependencies = worker();
    await run(dependencies, owner, "mkdir -p deep && echo survives > deep/file.txt && chmod 700 deep/file.txt");
    await dependencies.workspaces.settle();
    await destroyBehindOurBack(owner);
    const outcome = await run(dependencies, owner, "cat deep/file.txt; stat -c %a deep/file.txt");
    expect(outcome.output).toBe("survives\n700\n");
    expect(outcome.notices.join()).toMatch(/<sandbox_replaced>[^]*generation 2[^]*restored from the snapshot/);
    expect((await run(dependencies, owner, "true")).notices).toEqual([]);
  });

  it("reached again after the way to it was lost: its command is joined, not given up", async () => {
    const owner = await insertTestSession(test.database);
    const real = worker();
    const cut = (sandbox: Sandbox): Sandbox => ({
      ...sandbox,
      session: {
        ...sandbox.session,
        async spawn(options) {
          const process = await sandbox.session.spawn(options);
          const lost = () => Promise.reject(new SandboxGoneError(sandbox.reference.id, "the connection broke"));
          return { ...process, output: { [Symbol.asyncIterator]: () => ({ next: lost }) }, wait: lost };
        },
      },
    });
    const flaky: SandboxProvider = {
      ...provider,
      create: async (request) => cut(await provider.create(request)),
      attach: async (reference) => cut(await provider.attach(reference)),
    };
    const workspaces = createWorkspaces({ ...real, provider: flaky, log });
    const outcome = await run(
      { ...real, provider: flaky, workspaces },
      owner,
      "sleep 0.2; echo once | tee -a runs.txt",
    );
    expect(outcome).toMatchObject({ output: "once\n", exit: { type: "exited", code: 0 }, notices: [] });
    expect((await run(real, owner, "cat runs.txt")).output).toBe("once\n");
    await workspaces.settle();
  });

  it("keeps the latest snapshot, however late an earlier one is stored", async () => {
    const owner = await insertTestSession(test.database);
    const real = worker();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let puts = 0;
    const blobs: BlobStore = {
      get: real.blobs.get,
      async put(organizationId, content) {
        const bytes = await new Response(content).bytes();
        if (puts++ === 0) await gate;
        return real.blobs.put(organizationId, new Response(bytes).body ?? content);
      },
    };
    const workspaces = createWorkspaces({ ...real, blobs, log });
    const slow = { ...real, blobs, workspaces };
    await run(slow, owner, "echo 1 > file.txt");
    await run(slow, owner, "echo 2 > file.txt");
    await new Promise((resolve) => setTimeout(resolve, 500));
    release();
    await workspaces.settle();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await destroyBehindOurBack(owner);
    expect((await run(real, owner, "cat file.txt")).output).toBe("2\n");
  });

  it("refuses a command that cannot be started, in one sentence", async () => {
    const owner = await insertTestSession(test.database);
    for (const command of ["echo \0", "x".repeat(200_000)])
      await expect(run(worker(), owner, command)).rejects.toBeInstanceOf(SandboxFileError);
  });

  it("lost under a running command: the outcome is unknown, the next generation is ready, nothing runs twice", async () => {
    const owner = await insertTestSession(test.database);
    const dependencies = worker();
    await run(dependencies, owner, "echo 1 > runs.txt");
    await dependencies.workspaces.settle();
    const running = run(dependencies, owner, "echo 2 >> runs.txt; sleep 10");
    await new Promise((resolve) => setTimeout(resolve, 300));
    await destroyBehindOurBack(owner);
    const outcome = await running;
    expect(outcome.exit.type).toBe("unknown");
    expect(outcome.notices.join()).toContain("it was not run again");
    expect((await run(dependencies, owner, "cat runs.txt")).output).toBe("1\n");
  });

  it("joins a command that another worker started, by its id", async () => {
    const owner = await insertTestSession(test.database);
    const commandId = crypto.randomUUID();
    const first = run(worker(), owner, "echo begun; sleep 1; echo ended", commandId);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const joined = await createCommandRunner(worker(), owner).run({
      commandId,
      command: "must not run",
      timeoutMs: 20_000,
      abortSignal: new AbortController().signal,
      reattach: true,
    });
    expect([joined.output, joined.exit]).toEqual(["begun\nended\n", { type: "exited", code: 0 }]);
    await first;
  });

  it("takes no snapshot of an older generation for the last one", async () => {
    const owner = await insertTestSession(test.database);
    const dependencies = worker();
    await run(dependencies, owner, "echo first > file.txt");
    await dependencies.workspaces.settle();
    const before = await test.database
      .selectFrom("sandboxes")
      .selectAll()
      .where("session_id", "=", owner.sessionId)
      .executeTakeFirstOrThrow();
    await test.database
      .updateTable("sandboxes")
      .set({ generation: 7 })
      .where("session_id", "=", owner.sessionId)
      .execute();
    const { takeSnapshot } = await import("./snapshot.ts");
    const sandbox = await provider.attach({ provider: provider.id, id: await sandboxIdOf(owner) });
    await sandbox.session.writeBinaryFile({ path: "/workspace/file.txt", content: Buffer.from("stale") });
    await takeSnapshot(dependencies, { owner, sandbox, generation: 1 });
    const after = await test.database
      .selectFrom("sandboxes")
      .selectAll()
      .where("session_id", "=", owner.sessionId)
      .executeTakeFirstOrThrow();
    expect(after.snapshot_id).toBe(before.snapshot_id);
  });

  it("goes with its session, and no command makes another one", async () => {
    const owner = await insertTestSession(test.database);
    const dependencies = worker();
    await run(dependencies, owner, "true");
    const id = await sandboxIdOf(owner);
    await test.database
      .updateTable("sessions")
      .set({ archived_at: new Date() })
      .where("id", "=", owner.sessionId)
      .execute();
    await dependencies.workspaces.release(owner);
    await expect(provider.attach({ provider: provider.id, id })).rejects.toThrow(SandboxGoneError);
    await expect(run(dependencies, owner, "true")).rejects.toThrow("has ended");
  });

  it("interrupts the command's whole process group", async () => {
    const owner = await insertTestSession(test.database);
    const dependencies = worker();
    const controller = new AbortController();
    const running = createCommandRunner(dependencies, owner).run({
      commandId: crypto.randomUUID(),
      command: "sleep 30 & sleep 30; echo not reached",
      timeoutMs: 60_000,
      abortSignal: controller.signal,
      reattach: false,
    });
    setTimeout(() => controller.abort(), 300);
    expect((await running).exit.type).toBe("interrupted");
    expect((await run(dependencies, owner, "pgrep -c sleep || true")).output.trim()).toBe("0");
  });

  it("shows nothing of the server's environment or files", async () => {
    const owner = await insertTestSession(test.database);
    process.env["EXOLOOP_TEST_CANARY"] = "canary-value";
    const { output } = await run(
      worker(),
      owner,
      "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; ls /root 2>&1; id -u",
    );
    delete process.env["EXOLOOP_TEST_CANARY"];
    expect(output).not.toContain("canary-value");
    expect(output).toContain("cannot access '/root'");
  });
});
