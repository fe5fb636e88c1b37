/** A session's sandbox through its life: real sandbox host, real Postgres, real loss. */
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { SandboxFileError, SandboxGoneError } from "@exoloop/sandbox/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readOutput, renewLease } from "./background/commands.ts";
import { createPorts } from "./background/ports.ts";
import { startBackground } from "./background/start.ts";
import { putIdleAway } from "./life/idle.ts";
import { endDueLeases } from "./life/leases.ts";
import { readSandboxFigures } from "./summary.ts";
import { eventually, type SandboxTest, startSandboxTest } from "./testing.ts";

let test: SandboxTest;
beforeAll(async () => {
  test = await startSandboxTest();
}, 60_000);
afterAll(() => test.stop());

describe("a session's sandbox", () => {
  it("does not exist before the first command, and keeps its files between commands", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    expect((await readSandboxFigures(test.database, [owner.sessionId])).size).toBe(0);
    await test.run(worker, owner, "echo kept > file.txt");
    expect((await test.run(worker, owner, "cat file.txt")).output).toBe("kept\n");
    expect(await test.isAwake(owner)).toBe(false);
    const other = await test.run(test.worker(), owner, "cat file.txt");
    expect([other.output, other.notices]).toEqual(["kept\n", []]);
  });

  it("is replaced from its last snapshot when it is lost between commands, and the model is told", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    await test.run(worker, owner, "mkdir -p deep && echo survives > deep/file.txt && chmod 700 deep/file.txt");
    await worker.workspaces.settle();
    await test.destroyBehindOurBack(owner);
    const outcome = await test.run(worker, owner, "cat deep/file.txt; stat -c %a deep/file.txt");
    expect(outcome.output).toBe("survives\n700\n");
    expect(outcome.notices.join()).toMatch(/<sandbox_replaced>[^]*generation 2[^]*restored from the snapshot/);
    expect((await test.run(worker, owner, "true")).notices).toEqual([]);
  });

  it("reached again after the way to it was lost: its command is joined, not given up", async () => {
    const owner = await test.createOwner();
    const real = test.worker();
    const flaky = test.worker({ providers: new Map([[test.provider.id, withBrokenOutput(test.provider)]]) });
    const outcome = await test.run(flaky, owner, "sleep 0.2; echo once | tee -a runs.txt");
    expect(outcome).toMatchObject({ output: "once\n", exit: { type: "exited", code: 0 }, notices: [] });
    expect((await test.run(real, owner, "cat runs.txt")).output).toBe("once\n");
    await flaky.workspaces.settle();
  });

  it("refuses a command that cannot be started, in one sentence, and sleeps", async () => {
    const owner = await test.createOwner();
    for (const command of ["echo \0", "x".repeat(200_000)])
      await expect(test.run(test.worker(), owner, command)).rejects.toBeInstanceOf(SandboxFileError);
    expect(await test.isAwake(owner)).toBe(false);
  });

  it("lost under a running command: the outcome is unknown, the next generation is ready, nothing runs twice", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    await test.run(worker, owner, "echo 1 > runs.txt");
    await worker.workspaces.settle();
    const running = test.run(worker, owner, "echo 2 >> runs.txt; sleep 10");
    await new Promise((resolve) => setTimeout(resolve, 300));
    await test.destroyBehindOurBack(owner);
    const outcome = await running;
    expect(outcome.exit.type).toBe("unknown");
    expect(outcome.notices.join()).toContain("it was not run again");
    expect((await test.run(worker, owner, "cat runs.txt")).output).toBe("1\n");
  });

  it("killed while it sleeps costs no command its outcome, however soon the next one comes", async () => {
    for (const waitMs of [0, 0, 1, 2, 5, 20]) {
      const owner = await test.createOwner();
      const worker = test.worker();
      await test.run(worker, owner, "true");
      await worker.workspaces.settle();
      await test.killBehindOurBack(owner);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const { output, exit } = await test.run(worker, owner, "echo done");
      expect([output, exit.type]).toEqual(["done\n", "exited"]);
      expect((await test.rowOf(owner)).generation).toBe(2);
    }
  });

  it("joins a command that another worker started, by its id", async () => {
    const owner = await test.createOwner();
    const commandId = crypto.randomUUID();
    const first = test.run(test.worker(), owner, "echo begun; sleep 1; echo ended", { commandId });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const joined = await test.run(test.worker(), owner, "must not run", { commandId, reattach: true });
    expect([joined.output, joined.exit]).toEqual(["begun\nended\n", { type: "exited", code: 0 }]);
    await first;
  });

  it("goes with its session, and no command makes another one", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    await test.run(worker, owner, "true");
    const { reference } = await test.sandboxOf(owner);
    await test.database
      .updateTable("sessions")
      .set({ archived_at: new Date() })
      .where("id", "=", owner.sessionId)
      .execute();
    await worker.workspaces.release(owner);
    await expect(test.provider.attach(reference)).rejects.toThrow(SandboxGoneError);
    await expect(test.run(worker, owner, "true")).rejects.toThrow("has ended");
  });

  it("interrupts the command's whole process group", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    const controller = new AbortController();
    const running = test.run(worker, owner, "sleep 30 & sleep 30; echo not reached", {
      abortSignal: controller.signal,
    });
    setTimeout(() => controller.abort(), 300);
    expect((await running).exit.type).toBe("interrupted");
    expect((await test.run(worker, owner, "pgrep -c sleep || true")).output.trim()).toBe("0");
  });

  it("shows nothing of the server's environment or files", async () => {
    const owner = await test.createOwner();
    process.env["EXOLOOP_TEST_CANARY"] = "canary-value";
    const { output } = await test.run(
      test.worker(),
      owner,
      "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; ls /root 2>&1; id -u",
    );
    delete process.env["EXOLOOP_TEST_CANARY"];
    expect(output).not.toContain("canary-value");
    expect(output).toContain("cannot access '/root'");
  });

  it("put away when idle, comes back as it was", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    await test.run(worker, owner, "echo kept > file.txt; echo gone > /tmp/file.txt");
    await worker.workspaces.settle();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await putIdleAway(test.base, 0.05);
    expect((await test.rowOf(owner)).state).toBe("snapshotted");
    const { output, notices } = await test.run(worker, owner, "cat file.txt; cat /tmp/file.txt 2>&1");
    expect(output).toMatch(/^kept\n.*No such file/);
    expect(notices).toHaveLength(1);
  });
});

describe("processes", () => {
  it("that a command leaves behind are named, and do nothing until the next command", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    const { notices } = await test.run(
      worker,
      owner,
      "(while true; do echo x >> ticks; sleep 0.02; done) > /dev/null 2>&1 & sleep 0.2",
    );
    expect(notices.join()).toMatch(/<sandbox_processes>[12] process/);
    const ticks = async () => (await (await test.sandboxOf(owner)).session.stat({ path: "/workspace/ticks" }))?.size;
    const before = await ticks();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await ticks()).toBe(before);
  });

  it("in the background go on until their time is up, then stand still, and go on when it is renewed", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    const command = "while true; do echo x; sleep 0.02; done";
    await startBackground(worker, owner, { commandId: "ticks", command, seconds: 1, reattach: false });
    await worker.workspaces.settle();
    const written = async () => (await readOutput(worker, owner, "ticks", 0))?.nextOffset ?? 0;
    await eventually(async () => (await written()) > 10);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await endDueLeases(worker, () => Promise.resolve());
    expect(await test.isAwake(owner)).toBe(false);
    const before = await written();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await written()).toBe(before);
    await renewLease(worker, owner, "ticks", 60);
    await eventually(async () => (await written()) > before);
  });

  it("answer on a port: traffic wakes them, silence lets them sleep", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    const server =
      "import socket\ns=socket.create_server(('127.0.0.1',8080))\nwhile True:\n c,_=s.accept()\n while True:\n  d=c.recv(99)\n  if not d: break\n  c.sendall(b'heard '+d)";
    const command = `python3 -c "$(cat <<'END'\n${server}\nEND\n)"`;
    await startBackground(worker, owner, { commandId: "server", command, seconds: 1, reattach: false });
    const ports = createPorts(worker, 300);
    await eventually(async () => {
      const probe = await ports.connect(owner, 8080);
      await probe?.writable.close();
      return probe !== null;
    });
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await endDueLeases(worker, () => Promise.resolve());
    await eventually(async () => !(await test.isAwake(owner)));
    const connection = await ports.connect(owner, 8080);
    const writer = connection?.writable.getWriter();
    const reader = connection?.readable.getReader();
    await writer?.write(Buffer.from("one"));
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("heard one");
    await eventually(async () => !(await test.isAwake(owner)));
    await writer?.write(Buffer.from("two"));
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("heard two");
    await writer?.close();
  });
});

/** Every started command loses the way to it at once. */
function withBrokenOutput(provider: SandboxProvider): SandboxProvider {
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
  return {
    ...provider,
    create: async (request) => cut(await provider.create(request)),
    attach: async (reference) => cut(await provider.attach(reference)),
  };
}
