/** Commands in the background: what keeps a sandbox awake, for how long, and what becomes of it. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { killCommand, listCommands, readOutput, renewLease, signalCommand } from "./background/commands.ts";
import { startBackground } from "./background/start.ts";
import { endDueLeases } from "./life/leases.ts";
import { moveSandbox } from "./life/move.ts";
import { findIdle } from "./life/unused.ts";
import { eventually, type Worker } from "./testing.ts";
import { type MemoryWorld, startMemoryWorld } from "./testing-memory.ts";
import type { SandboxOwner } from "./workspace.ts";

let world: MemoryWorld;
beforeAll(async () => {
  world = await startMemoryWorld();
});
afterAll(() => world.stop());

const start = (worker: Worker, owner: SandboxOwner, commandId: string, command: string, seconds = 600) =>
  startBackground(worker, owner, { commandId, command, seconds, reattach: false });

const expire = (owner: SandboxOwner) =>
  sql`update sandbox_leases set until = clock_timestamp() - interval '1 second'
    where session_id = ${owner.sessionId} and ended_at is null`.execute(world.database);

const noSnapshot = () => Promise.resolve();

it("keeps the sandbox awake, beside other commands and after them, until it ends", async () => {
  const owner = await world.createOwner();
  const worker = world.worker();
  const started = await start(worker, owner, "server", "echo up; sleep 0.8; echo down");
  expect(started.type).toBe("started");
  await worker.workspaces.settle();
  expect(await world.isAwake(owner)).toBe(true);
  expect((await world.run(worker, owner, "true")).notices).toEqual([]);
  await worker.workspaces.settle();
  expect(await world.isAwake(owner)).toBe(true);
  expect(await readOutput(world.base, owner, "server", 0)).toMatchObject({ offset: 0, nextOffset: 3, exit: null });
  await eventually(async () => !(await world.isAwake(owner)));
  const [command] = await listCommands(world.base, owner);
  expect(command).toMatchObject({ commandId: "server", state: "ended", exit: { type: "exited", code: 0 } });
  const output = await readOutput(world.base, owner, "server", 3);
  expect(Buffer.from(output?.bytes ?? []).toString()).toBe("down\n");
});

it("stands still when its time is up, whichever worker sees it, and the next result tells", async () => {
  const owner = await world.createOwner();
  await start(world.worker(), owner, "server", "sleep 60");
  await expire(owner);
  await endDueLeases(world.worker(), noSnapshot);
  expect(await world.isAwake(owner)).toBe(false);
  expect((await listCommands(world.base, owner))[0]?.state).toBe("suspended");
  const { notices } = await world.run(world.worker(), owner, "true");
  expect(notices.join()).toContain("<sandbox_lease_expired>The time of the background command server was up");
  expect((await world.run(world.worker(), owner, "true")).notices).toEqual([]);
});

it("goes on when its lease is renewed, also afterwards", async () => {
  const owner = await world.createOwner();
  await start(world.worker(), owner, "server", "sleep 60", 5);
  const until = await renewLease(world.base, owner, "server", 1_000);
  expect((until?.getTime() ?? 0) - Date.now()).toBeGreaterThan(900_000);
  await endDueLeases(world.base, noSnapshot);
  expect(await world.isAwake(owner)).toBe(true);
  await expire(owner);
  await endDueLeases(world.base, noSnapshot);
  expect(await world.isAwake(owner)).toBe(false);
  expect(await renewLease(world.base, owner, "server", 10 ** 9)).not.toBeNull();
  expect(await world.isAwake(owner)).toBe(true);
  const [lease] = await listCommands(world.base, owner);
  // Six hours at most.
  expect((lease?.until.getTime() ?? 0) - Date.now()).toBeLessThanOrEqual(6 * 3_600_000);
  expect(await renewLease(world.base, owner, "another", 10)).toBeNull();
});

it("is noticed by any worker when it ends though the one that started it has died", async () => {
  const owner = await world.createOwner();
  await start(world.worker(), owner, "server", "sleep 0.2");
  // As if nobody had followed it.
  await new Promise((resolve) => setTimeout(resolve, 400));
  await sql`update sandbox_leases set ended_at = null, ended = null where session_id = ${owner.sessionId}`.execute(
    world.database,
  );
  await (await world.sandboxOf(owner)).resume();
  await sql`update sandboxes set state = 'awake', awake_since = now() where session_id = ${owner.sessionId}`.execute(
    world.database,
  );
  const ended: SandboxOwner[] = [];
  await endDueLeases(world.base, async (one) => void ended.push(one));
  expect(await world.isAwake(owner)).toBe(false);
  expect(ended.map(({ sessionId }) => sessionId)).toEqual([owner.sessionId]);
});

it("is killed by its id, takes signals, and is no idle sandbox's", async () => {
  const owner = await world.createOwner();
  const worker = world.worker();
  await start(worker, owner, "server", "sleep 60");
  await start(worker, owner, "other", "sleep 60");
  await sql`update sandboxes set used_at = now() - interval '1 hour' where session_id = ${owner.sessionId}`.execute(
    world.database,
  );
  expect((await findIdle(world.base, 600)).map(({ sessionId }) => sessionId)).not.toContain(owner.sessionId);
  expect(await killCommand(world.base, owner, "server")).toBe(true);
  await eventually(async () => (await listCommands(world.base, owner))[0]?.state === "ended");
  expect(await world.isAwake(owner)).toBe(true);
  expect(await signalCommand(world.base, owner, "other", 9)).toBe(true);
  await eventually(async () => !(await world.isAwake(owner)));
  expect(await killCommand(world.base, owner, "server")).toBe(false);
  expect(await killCommand(world.base, owner, "unknown")).toBe(false);
});

it("ends when its session moves, with what it has written until then", async () => {
  const owner = await world.createOwner();
  const worker = world.worker();
  await start(worker, owner, "server", "echo 1 > file.txt; sleep 60");
  await eventually(
    async () => (await (await world.sandboxOf(owner)).session.stat({ path: "/workspace/file.txt" })) !== null,
  );
  const before = (await world.sandboxOf(owner)).reference.id;
  await moveSandbox(worker, owner, "other");
  expect((await world.memory.list()).map(({ id }) => id)).not.toContain(before);
  expect((await listCommands(world.base, owner))[0]?.state).toBe("lost");
  const { output, notices } = await world.run(worker, owner, "cat file.txt");
  expect([output, notices.length]).toEqual(["1\n", 1]);
});

it("goes on when its session could not be moved", async () => {
  const owner = await world.createOwner();
  const take = () => Promise.reject(new Error("the disk is full"));
  await start(world.worker(), owner, "server", "sleep 60");
  const broken = world.worker({ snapshots: { ...world.base.snapshots, take } });
  await expect(moveSandbox(broken, owner, "other")).rejects.toThrow("the disk is full");
  expect(await world.isAwake(owner)).toBe(true);
});

it("is started once: a driver that takes over joins it, and tells a lost one as unknown", async () => {
  const owner = await world.createOwner();
  await start(world.worker(), owner, "server", "echo once >> runs.txt; sleep 60");
  const again = { commandId: "server", command: "echo once >> runs.txt; sleep 60", reattach: true };
  expect((await startBackground(world.worker(), owner, again)).type).toBe("started");
  expect((await world.run(world.worker(), owner, "cat runs.txt")).output).toBe("once\n");
  await world.lose(owner);
  const lost = await startBackground(world.worker(), owner, again);
  expect(lost.type).toBe("unknown");
  expect(lost.notices.join()).toContain("<sandbox_replaced>");
  expect((await listCommands(world.base, owner))[0]?.state).toBe("lost");
});
