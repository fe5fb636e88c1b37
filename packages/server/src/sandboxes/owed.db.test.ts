/** Time that a sandbox was awake for no command in the foreground: log, ledger and figures have it, once. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { readLedger, sumLogs } from "../budgets/testing.ts";
import type { SessionStatus } from "../db/tables.ts";
import { readFigures } from "../sessions/figures.ts";
import { readLog } from "../sessions/log.ts";
import { startBackground } from "./background/start.ts";
import { killSandbox } from "./life/end.ts";
import { endDueLeases } from "./life/leases.ts";
import { eventually } from "./testing.ts";
import { type MemoryWorld, startMemoryWorld } from "./testing-memory.ts";
import type { SandboxOwner } from "./workspace.ts";

let world: MemoryWorld;
beforeAll(async () => {
  world = await startMemoryWorld();
});
afterAll(() => world.stop());

const round = () => endDueLeases(world.base, () => Promise.resolve());

const setStatus = ({ sessionId }: SandboxOwner, status: SessionStatus) =>
  world.database.updateTable("sessions").set({ status }).where("id", "=", sessionId).execute();

/** Starts a command in the background in a sandbox that sleeps otherwise. */
async function startSleep(owner: SandboxOwner, seconds: number): Promise<void> {
  const command = `sleep ${seconds}`;
  const started = await startBackground(world.worker(), owner, { commandId: "sleep", command, reattach: false });
  expect(started.type).toBe("started");
}

/** Its lease, and the time that it kept the sandbox awake. */
async function hasEnded({ sessionId }: SandboxOwner): Promise<boolean> {
  const lease = world.database.selectFrom("sandbox_leases").select("ended_at").where("session_id", "=", sessionId);
  const row = await world.database
    .selectFrom("sandboxes")
    .select("state")
    .where("session_id", "=", sessionId)
    .executeTakeFirstOrThrow();
  return (await lease.executeTakeFirstOrThrow()).ended_at !== null && row.state === "suspended";
}

async function readAwakeEvents({ sessionId }: Pick<SandboxOwner, "sessionId">) {
  return (await readLog(world.database, sessionId, 0)).filter(({ type }) => type === "x.sandbox_awake");
}

/** As each of the three says it, in milliseconds. */
async function readTold({ sessionId, organizationId }: SandboxOwner) {
  const { length: count } = await readAwakeEvents({ sessionId });
  const ledger = (await readLedger(world.database, organizationId))["organization"];
  const sum = await sumLogs(world.database, organizationId);
  const figures = (await readFigures(world.database, [sessionId])).get(sessionId);
  const [inLedger, inLog, inFigures] = [ledger?.sandboxMs ?? 0, sum.sandboxMs, figures?.sandboxAwakeMs];
  expect([inLog, inFigures, figures?.steps]).toEqual([inLedger, inLedger, 0]);
  return { count, milliseconds: inLedger };
}

it("is accounted for when the lease ends, and no result tells it again", async () => {
  const owner = await world.createOwner();
  await startSleep(owner, 0.5);
  await eventually(async () => (await readAwakeEvents(owner)).length === 1);
  const { milliseconds } = await readTold(owner);
  expect(milliseconds).toBeGreaterThanOrEqual(400);
  const { awakeMs } = await world.run(world.worker(), owner, "true");
  expect(awakeMs).toBeLessThan(300);
  await round();
  expect(await readTold(owner)).toEqual({ count: 1, milliseconds });
});

it("is told by the next result while the session runs, and else when it has come to rest", async () => {
  const [resting, calling] = [await world.createOwner(), await world.createOwner()];
  for (const owner of [resting, calling]) {
    await setStatus(owner, "running");
    await startSleep(owner, 0.4);
    await eventually(() => hasEnded(owner));
  }
  await round();
  expect((await world.run(world.worker(), calling, "true")).awakeMs).toBeGreaterThanOrEqual(300);
  expect((await readTold(resting)).count).toBe(0);
  for (const owner of [resting, calling]) await setStatus(owner, "idle");
  await Promise.all([round(), round(), round()]);
  expect((await readTold(resting)).milliseconds).toBeGreaterThanOrEqual(300);
  expect([(await readTold(resting)).count, (await readTold(calling)).count]).toEqual([1, 0]);
});

it("is not lost with a sandbox that is killed, or whose session ends", async () => {
  const [killed, ended] = [await world.createOwner(), await world.createOwner()];
  for (const owner of [killed, ended]) await startSleep(owner, 60);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await killSandbox(world.base, killed);
  await round();
  await setStatus(ended, "terminated");
  await world.worker().workspaces.release(ended);
  for (const owner of [killed, ended]) {
    const { count, milliseconds } = await readTold(owner);
    expect(count).toBe(1);
    expect(milliseconds).toBeGreaterThanOrEqual(250);
  }
});
