/** What servers that died have left of sandboxes is put in order. */
import { createId } from "@exoloop/protocol/ids";
import type { SandboxProvider } from "@exoloop/sandbox/contract";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { takeFromRow } from "./life/end.ts";
import { reconcile } from "./life/reconcile.ts";
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

describe("after a crash", () => {
  const patience = { unnamedMs: 0, silentMs: 60_000 };
  const create = (owner: string) =>
    world.memory.create({ id: createId("sandbox"), owner, resources: world.base.resources, environment: {} });
  const ids = async () => (await world.memory.list()).map(({ id }) => id);

  it("a sandbox that no row names is destroyed, of this installation only, and not while it is young", async () => {
    const owner = await world.createOwner();
    await world.run(world.worker(), owner, "true");
    const [ours, foreign] = [await create(world.base.installation), await create("somebody_else")];
    await reconcile(world.base);
    expect(await ids()).toContain(ours.reference.id);
    await reconcile(world.base, patience);
    expect(await ids()).not.toContain(ours.reference.id);
    expect(await ids()).toEqual(expect.arrayContaining([foreign.reference.id, (await world.rowOf(owner)).sandbox_id]));
  });

  it("between the making of a sandbox and its row nothing is left, and the next command makes one", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo 1 > file.txt");
    await worker.workspaces.settle();
    await world.lose(owner);
    // The server dies while it restores.
    const never = new Promise<never>(() => undefined);
    const dying = world.worker({ snapshots: { ...world.base.snapshots, restore: () => never } });
    void world.run(dying, owner, "true");
    const before = await ids();
    await eventually(async () => (await ids()).some((id) => !before.includes(id)));
    const left = (await ids()).filter((id) => !before.includes(id));
    await reconcile(world.base, patience);
    for (const id of left) expect(await ids()).not.toContain(id);
    expect((await world.run(world.worker(), owner, "cat file.txt")).output).toBe("1\n");
  });

  it("between a session's end and its sandbox's, and between the row and the sandbox, both are ended", async () => {
    const [archived, taken] = [await world.createOwner(), await world.createOwner()];
    for (const owner of [archived, taken]) await world.run(world.worker(), owner, "true");
    const left = [(await world.rowOf(archived)).sandbox_id, (await world.rowOf(taken)).sandbox_id];
    await world.database
      .updateTable("sessions")
      .set({ archived_at: new Date() })
      .where("id", "=", archived.sessionId)
      .execute();
    await takeFromRow(world.base, taken, { state: "gone", released: "killed" });
    await reconcile(world.base, patience);
    for (const id of left) expect(await ids()).not.toContain(id);
    expect(await world.rowOf(archived)).toMatchObject({ sandbox_id: null, state: "gone" });
  });

  it("a row whose sandbox is gone says so", async () => {
    const owner = await world.createOwner();
    await world.run(world.worker(), owner, "true");
    await world.lose(owner);
    await reconcile(world.base);
    expect((await world.rowOf(owner)).state).toBe("suspended");
    await age(owner, 61);
    await reconcile(world.base);
    expect(await world.rowOf(owner)).toMatchObject({ sandbox_id: null, state: "gone" });
    expect((await world.run(world.worker(), owner, "true")).notices.join()).toContain("<sandbox_replaced>");
  });

  it("a sandbox that is awake for nobody is put to sleep, and its command goes on when it is joined", async () => {
    const owner = await world.createOwner();
    const lost = world.run(world.worker(), owner, "sleep 0.3; echo ended", { commandId: "orphan" });
    void lost.catch(() => undefined);
    await eventually(() => world.isAwake(owner));
    await age(owner, 61);
    await reconcile(world.base);
    expect(await world.isAwake(owner)).toBe(false);
    const joined = await world.run(world.worker(), owner, "no", { commandId: "orphan", reattach: true });
    expect(joined.output).toBe("ended\n");
    await lost;
    // The row sleeps and the sandbox does not.
    const sandbox = await world.sandboxOf(owner);
    await sandbox.resume();
    await age(owner, 61);
    await reconcile(world.base);
    expect(await world.isAwake(owner)).toBe(false);
  });

  it("what cannot be put in order holds up nothing else, and is told", async () => {
    const [stuck, orphan] = [await create(world.base.installation), await create(world.base.installation)];
    const [archived, silent] = [await world.createOwner(), await world.createOwner()];
    for (const owner of [archived, silent]) await world.run(world.worker(), owner, "true");
    const { sandbox_id: ended } = await world.rowOf(archived);
    await world.database
      .updateTable("sessions")
      .set({ archived_at: new Date() })
      .where("id", "=", archived.sessionId)
      .execute();
    await (await world.sandboxOf(silent)).resume();
    await age(silent, 61);
    const fails = new Set([stuck.reference.id, ended]);
    const { memory } = world;
    const failing: SandboxProvider = {
      ...memory,
      async attach(reference) {
        const sandbox = await memory.attach(reference);
        if (!fails.has(reference.id)) return sandbox;
        return {
          ...sandbox,
          reference,
          session: sandbox.session,
          destroy: () => Promise.reject(new Error("it stays")),
        };
      },
    };
    const told: unknown[] = [];
    const log = { ...world.base.log, warn: (details: object) => void told.push(details) };
    await reconcile({ ...world.base, log, providers: new Map([[memory.id, failing]]) }, patience);
    expect(await ids()).not.toContain(orphan.reference.id);
    expect(await world.isAwake(silent)).toBe(false);
    expect(told.length).toBeGreaterThanOrEqual(2);
    await reconcile(world.base, patience);
    for (const id of fails) expect(await ids()).not.toContain(id);
  });

  it("one server reconciles at a time", async () => {
    const orphan = await create(world.base.installation);
    await world.database.connection().execute(async (connection) => {
      await sql`select pg_advisory_lock(hashtext('exoloop sandbox reconciler'))`.execute(connection);
      await reconcile(world.base, patience);
      expect(await ids()).toContain(orphan.reference.id);
      await sql`select pg_advisory_unlock(hashtext('exoloop sandbox reconciler'))`.execute(connection);
    });
    await reconcile(world.base, patience);
    expect(await ids()).not.toContain(orphan.reference.id);
  });
});
