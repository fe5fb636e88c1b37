/** Commands whose worker died or stood still: run, joined or left alone, never run twice. */
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SandboxTest, startSandboxTest } from "./testing.ts";

describe("a command", () => {
  let test: SandboxTest;
  beforeAll(async () => {
    test = await startSandboxTest();
  }, 60_000);
  afterAll(() => test.stop());

  it("whose worker died before it was sent is run, the session's first one too", async () => {
    const owner = await test.createOwner();
    const taken = { reattach: true };
    const first = await test.run(test.worker(), owner, "echo first >> runs.txt; cat runs.txt", taken);
    expect([first.output, first.exit]).toEqual(["first\n", { type: "exited", code: 0 }]);
    const second = await test.run(test.worker(), owner, "echo second >> runs.txt; cat runs.txt", taken);
    expect(second.output).toBe("first\nsecond\n");
  });

  it("that an earlier generation may have seen is not run again", async () => {
    const owner = await test.createOwner();
    const worker = test.worker();
    await test.run(worker, owner, "echo ran", { commandId: "the-command" });
    await worker.workspaces.settle();
    await test.destroyBehindOurBack(owner);
    // Another generation, and another command since.
    await test.run(worker, owner, "true");
    const again = { commandId: "the-command", reattach: true };
    const outcome = await test.run(test.worker(), owner, "echo must not run > again.txt", again);
    expect(outcome.exit.type).toBe("unknown");
    expect((await test.run(worker, owner, "ls")).output).not.toContain("again.txt");
  });

  it("is neither stopped nor captured from by a worker that was away when it began", async () => {
    const owner = await test.createOwner();
    const captured: string[] = [];
    const projection = {
      before: () => Promise.resolve(),
      after(_workspace: unknown, toolUseId: string) {
        captured.push(toolUseId);
        return Promise.resolve(null);
      },
    };
    const gate = Promise.withResolvers<void>();
    const away = test.worker({
      projection,
      providers: new Map([[test.provider.id, heldBetweenEndAndSuspension(test.provider, gate.promise)]]),
    });
    const zombie = test.run(away, owner, "echo one", { commandId: "one" });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const next = test.run(test.worker({ projection }), owner, "sleep 1; echo two", { commandId: "two" });
    await new Promise((resolve) => setTimeout(resolve, 400));
    gate.resolve();
    await zombie;
    expect((await next).output).toBe("two\n");
    expect(captured).toEqual(["two"]);
    await away.workspaces.settle();
  });
});

/** As a stopped process: its command has ended, and it does not go on until the gate opens. */
function heldBetweenEndAndSuspension(provider: SandboxProvider, gate: Promise<void>): SandboxProvider {
  const hold = (sandbox: Sandbox): Sandbox => ({
    ...sandbox,
    session: {
      ...sandbox.session,
      async spawn(options) {
        const process = await sandbox.session.spawn(options);
        return { ...process, wait: () => gate.then(() => process.wait()) };
      },
    },
  });
  return {
    ...provider,
    create: async (request) => hold(await provider.create(request)),
    attach: async (reference) => hold(await provider.attach(reference)),
  };
}
