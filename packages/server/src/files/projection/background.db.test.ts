/** What commands in the background write into stored files, while nobody runs another command. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { startBackground } from "../../sandboxes/background/start.ts";
import { workspaceOf as workspaceOfHeld } from "../../sandboxes/held-sandbox.ts";
import { findUnused, putAway } from "../../sandboxes/life/unused.ts";
import { eventually, type Worker } from "../../sandboxes/testing.ts";
import { type MemoryWorld, startMemoryWorld } from "../../sandboxes/testing-memory.ts";
import { saveFiles } from "../../sandboxes/use/save-files.ts";
import type { SandboxOwner } from "../../sandboxes/workspace.ts";
import { organizationMemoryMount, storedMounts } from "../mounts.ts";
import { createStoredFiles, type StoredFiles } from "../postgres/stored-files.ts";
import { actorOf } from "../postgres/testing.ts";
import { createProjection } from "../projection.ts";
import { decodeText, encodeText } from "../text.ts";
import { createBaselineCache } from "./baseline.ts";

let world: MemoryWorld;
let files: StoredFiles;
beforeAll(async () => {
  world = await startMemoryWorld();
  files = createStoredFiles(world.database);
});
afterAll(() => world.stop());

function projecting(owner: SandboxOwner): Worker {
  const projection = createProjection({ files, baselines: createBaselineCache(), ...owner, mounts: storedMounts });
  return world.worker({ projection, saveFiles: (held) => projection.settle(workspaceOfHeld(held)) });
}
const start = (worker: Worker, owner: SandboxOwner, command: string) =>
  startBackground(worker, owner, { commandId: "watcher", command, reattach: false });
async function stored(owner: SandboxOwner, name: string): Promise<string | null> {
  const store = files.open({ ...owner, sessionId: null }, organizationMemoryMount);
  const found = await store.read(`/memory/org/${name}`).catch(() => null);
  return found === null ? null : decodeText(found.bytes);
}

it("is saved when the command ends, and told with the next one", async () => {
  const owner = await world.createOwner();
  const worker = projecting(owner);
  await start(worker, owner, "sleep 0.2; echo ended >> /memory/org/log.md");
  await eventually(async () => (await stored(owner, "log.md")) === "ended\n");
  const { notices } = await world.run(worker, owner, "true");
  expect(notices.join()).toContain("saved /memory/org/log.md (new, v1)");
  expect((await world.run(worker, owner, "true")).notices).toEqual([]);
});

it("is saved while it goes on, as often as somebody asks, and with every other command", async () => {
  const owner = await world.createOwner();
  const worker = projecting(owner);
  await start(worker, owner, "echo 1 > /memory/org/a.md; sleep 0.4; echo 2 > /memory/org/b.md; sleep 60");
  await eventually(async () => {
    await saveFiles(worker, owner);
    return (await stored(owner, "a.md")) === "1\n";
  });
  expect(await world.isAwake(owner)).toBe(true);
  await eventually(async () => {
    const { notices } = await world.run(worker, owner, "true");
    return notices.join().includes("saved /memory/org/b.md");
  });
  expect(await stored(owner, "b.md")).toBe("2\n");
  await worker.workspaces.settle();
  expect(await world.isAwake(owner)).toBe(true);
  await worker.workspaces.release(owner);
});

it("is merged with what others wrote meanwhile", async () => {
  const owner = await world.createOwner();
  const worker = projecting(owner);
  const store = files.open({ ...owner, sessionId: null }, organizationMemoryMount);
  const others = () => actorOf(owner.organizationId, null, "api");
  await store.write("/memory/org/log.md", encodeText("start\n"), others());
  await start(worker, owner, "sleep 0.3; echo ours >> /memory/org/log.md");
  const change = { oldText: "start\n", newText: "start\ntheirs\n", all: false };
  await store.edit("/memory/org/log.md", change, others());
  await eventually(async () => (await stored(owner, "log.md")) === "start\ntheirs\nours\n");
  expect((await world.run(worker, owner, "cat /memory/org/log.md")).output).toBe("start\ntheirs\nours\n");
});

it("is saved before the sandbox is put away, also by a worker that has not seen the command", async () => {
  const owner = await world.createOwner();
  const worker = projecting(owner);
  await world.run(worker, owner, "true");
  await worker.workspaces.settle();
  const sandbox = await world.sandboxOf(owner);
  await sandbox.session.writeBinaryFile({ path: "/memory/org/left.md", content: encodeText("left\n") });
  const unused = await findUnused(world.base, owner);
  if (unused === null) throw new Error("there is no sandbox");
  expect(await putAway(projecting(owner), unused, { released: "idle" })).toBe(true);
  expect(await stored(owner, "left.md")).toBe("left\n");
});
