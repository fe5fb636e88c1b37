/** A sandbox's life between commands: put away, moved, woken early. */
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { putIdleAway } from "./life/idle.ts";
import { moveSandbox } from "./life/move.ts";
import { findIdle, putAway } from "./life/unused.ts";
import type { BlobStore } from "../blobs/store.ts";
import { createSnapshots } from "./snapshots/stored-snapshots.ts";
import { eventually } from "./testing.ts";
import { type MemoryWorld, startMemoryWorld } from "./testing-memory.ts";
import type { SandboxOwner } from "./workspace.ts";

let world: MemoryWorld;
beforeAll(async () => {
  world = await startMemoryWorld();
});
afterAll(() => world.stop());

/** As if so many seconds had gone by. */
const age = (owner: SandboxOwner, seconds: number) =>
  sql`update sandboxes set used_at = used_at - ${seconds}::float8 * interval '1 second',
    updated_at = updated_at - ${seconds}::float8 * interval '1 second'
    where session_id = ${owner.sessionId}`.execute(world.database);

describe("an idle sandbox", () => {
  it("is put away, and restored with the next command, which is told in one line", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo kept > file.txt; echo lost > /tmp/file.txt");
    await putIdleAway(world.base, 600);
    expect((await world.rowOf(owner)).state).toBe("suspended");
    await age(owner, 601);
    await putIdleAway(world.base, 600);
    const { sandbox_id: id, state } = await world.rowOf(owner);
    expect([id, state]).toEqual([null, "snapshotted"]);
    const { output, notices } = await world.run(worker, owner, "cat file.txt; cat /tmp/file.txt");
    expect(output).toMatch(/^kept\n/);
    expect(output).not.toContain("lost");
    expect(notices).toEqual([
      "<sandbox_restored>The sandbox was put away after a time without use: /workspace is as it was; processes and /tmp are gone.</sandbox_restored>",
    ]);
    expect(await world.rowOf(owner)).toMatchObject({ generation: 2, replacements: 0 });
  });

  it("stays when a command begins in the very moment in which it is put away", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo 1 > file.txt");
    await age(owner, 601);
    const found = (await findIdle(world.base, 600)).find(({ sessionId }) => sessionId === owner.sessionId);
    if (found === undefined) throw new Error("not idle");
    const { take } = world.base.snapshots;
    const between = async (held: Parameters<typeof take>[0]) => {
      await take(held);
      await world.run(worker, owner, "echo 2 > file.txt");
    };
    const racing = { ...world.base, snapshots: { ...world.base.snapshots, take: between } };
    expect(await putAway(racing, found, { released: "idle" })).toBe(false);
    const { output, notices } = await world.run(worker, owner, "cat file.txt");
    expect([output, notices]).toEqual(["2\n", []]);
    expect((await world.rowOf(owner)).generation).toBe(1);
  });

  it("that somebody used since is not idle, nor is one under a command", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "true");
    const running = world.run(worker, owner, "sleep 0.3");
    await eventually(() => world.isAwake(owner));
    await age(owner, 601);
    const isIdle = async () => (await findIdle(world.base, 600)).some(({ sessionId }) => sessionId === owner.sessionId);
    expect(await isIdle()).toBe(false);
    await running;
    await age(owner, 601);
    expect(await isIdle()).toBe(true);
    await worker.workspaces.useFiles(owner, { mayChange: false }, () => Promise.resolve());
    expect(await isIdle()).toBe(false);
  });
});

describe("a session that moves", () => {
  it("waits for its command, takes its workspace along, and the model is told in one notice", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo 1 > file.txt");
    // In another worker, so that no queue of this process orders them.
    const running = world.run(world.worker(), owner, "sleep 0.4; echo 2 > file.txt");
    await eventually(() => world.isAwake(owner));
    await moveSandbox(worker, owner, "other");
    expect((await running).exit).toEqual({ type: "exited", code: 0 });
    expect(await world.rowOf(owner)).toMatchObject({ provider: "other", sandbox_id: null, state: "snapshotted" });
    const { output, notices } = await world.run(worker, owner, "cat file.txt");
    expect(output).toBe("2\n");
    expect(notices).toEqual([
      "<sandbox_restored>The sandbox has moved to the provider other: /workspace is as it was; processes and /tmp are gone.</sandbox_restored>",
    ]);
    expect((await world.other.list()).map(({ id }) => id)).toContain((await world.rowOf(owner)).sandbox_id);
    await moveSandbox(worker, owner, "memory");
    expect((await world.run(worker, owner, "cat file.txt")).output).toBe("2\n");
  });

  it("to a provider that this server has not is refused, and nothing changes", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "true");
    await worker.workspaces.settle();
    const before = await world.rowOf(owner);
    await expect(moveSandbox(worker, owner, "elsewhere")).rejects.toBeInstanceOf(SandboxUnavailableError);
    expect(await world.rowOf(owner)).toEqual(before);
    const poorer = { ...world.base, providers: new Map([["other", world.other]]), defaultProvider: "other" };
    await expect(world.run(world.worker(poorer), owner, "true")).rejects.toThrow(/no sandbox provider named "memory"/);
  });

  it("begins where its environment says, and is refused where this server has no such provider", async () => {
    const [there, nowhere] = [await world.createOwner(), await world.createOwner()];
    const name = (owner: SandboxOwner, provider: string) =>
      sql`update environments set config = jsonb_build_object('x_exoloop', jsonb_build_object('provider', ${provider}::text))
        where id = (select environment_id from sessions where id = ${owner.sessionId})`.execute(world.database);
    await name(there, "other");
    await name(nowhere, "gvisor");
    await world.run(world.worker(), there, "true");
    expect((await world.rowOf(there)).provider).toBe("other");
    await expect(world.run(world.worker(), nowhere, "true")).rejects.toThrow(/no sandbox provider named "gvisor"/);
  });

  it("without a sandbox begins there", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await moveSandbox(worker, owner, "other");
    expect((await world.run(worker, owner, "true")).notices).toEqual([]);
    expect((await world.rowOf(owner)).provider).toBe("other");
  });
});

describe("a snapshot", () => {
  it("that a stalled worker stores late is never the last, of the same generation or of an older one", async () => {
    const owner = await world.createOwner();
    const gate = Promise.withResolvers<void>();
    let held = 0;
    const blobs: BlobStore = {
      ...world.blobs,
      async put(organizationId, content) {
        if (held++ === 0) await gate.promise;
        return world.blobs.put(organizationId, content);
      },
    };
    const { database, notices, log } = world.base;
    const stalled = world.worker({ snapshots: createSnapshots({ database, blobs, notices, log }) });
    await world.run(stalled, owner, "echo 1 > file.txt");
    const worker = world.worker();
    await world.run(worker, owner, "echo 2 > file.txt");
    await worker.workspaces.settle();
    gate.resolve();
    await stalled.workspaces.settle();
    await world.lose(owner);
    expect((await world.run(world.worker(), owner, "cat file.txt")).output).toBe("2\n");
    const sandbox = await world.sandboxOf(owner);
    const { snapshot_id: before } = await world.rowOf(owner);
    await sandbox.session.writeBinaryFile({ path: "/workspace/file.txt", content: Buffer.from("stale") });
    await world.base.snapshots.take({ owner, sandbox, generation: 1 });
    expect((await world.rowOf(owner)).snapshot_id).toBe(before);
  });
});

describe("an expected command", () => {
  it("finds its sandbox made and awake, and its awake time counted", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    worker.workspaces.expect(owner);
    worker.workspaces.expect(owner);
    await eventually(async () => (await world.rowOf(owner).catch(() => null))?.state === "awake");
    expect(await world.isAwake(owner)).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const creations = world.memory.controls.calls("create");
    const { awakeMs } = await world.run(worker, owner, "true");
    expect(world.memory.controls.calls("create")).toBe(creations);
    expect(awakeMs).toBeGreaterThanOrEqual(100);
    expect(await world.isAwake(owner)).toBe(false);
  });

  it("that does not come leaves the sandbox asleep, and its time to the next result", async () => {
    const owner = await world.createOwner();
    const worker = world.worker({}, { expectationMs: 200 });
    worker.workspaces.expect(owner);
    await eventually(async () => (await world.rowOf(owner).catch(() => null))?.state === "awake");
    await eventually(async () => !(await world.isAwake(owner)));
    expect((await world.rowOf(owner)).state).toBe("suspended");
    expect((await world.run(worker, owner, "true")).awakeMs).toBeGreaterThanOrEqual(150);
    worker.workspaces.expect(owner);
    await eventually(() => world.isAwake(owner));
    worker.workspaces.withdraw(owner);
    await eventually(async () => !(await world.isAwake(owner)), 150);
  });

  it("finds another sandbox where its own was lost, and a failure to wake is nobody's error", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "true");
    await world.lose(owner);
    worker.workspaces.expect(owner);
    await eventually(async () => (await world.rowOf(owner)).generation === 2);
    expect((await world.run(worker, owner, "true")).notices.join()).toContain("<sandbox_replaced>");
    world.memory.controls.failNext("resume", new Error("no"));
    worker.workspaces.expect(owner);
    expect((await world.run(worker, owner, "echo yes")).output).toBe("yes\n");
  });
});

it("a process remembers no session for ever", async () => {
  const { createTurnstiles } = await import("./use/turnstiles.ts");
  const turnstiles = createTurnstiles(30);
  for (let index = 0; index < 100; index += 1)
    await turnstiles.enter({ sessionId: `s${index}`, organizationId: "o" }, () => Promise.resolve());
  expect(turnstiles.all()).toHaveLength(100);
  await eventually(async () => turnstiles.all().length === 0);
});
