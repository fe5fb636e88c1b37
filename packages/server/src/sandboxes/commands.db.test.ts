/** Commands of a session: what they do to its sandbox, what is sent when, and what their results tell. */
import { SandboxFileError, SandboxGoneError } from "@exoloop/sandbox/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acquire } from "./life/acquire.ts";
import { killSandbox } from "./life/end.ts";
import { eventually } from "./testing.ts";
import { type MemoryWorld, startMemoryWorld } from "./testing-memory.ts";
import { writeIntent } from "./use/intent.ts";
import { watchCommand } from "./use/watch-command.ts";

let world: MemoryWorld;
beforeAll(async () => {
  world = await startMemoryWorld();
});
afterAll(() => world.stop());

describe("a command", () => {
  it("makes the sandbox, keeps its files, and leaves it asleep", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    expect((await world.run(worker, owner, "echo kept > file.txt")).notices).toEqual([]);
    expect((await world.run(worker, owner, "cat file.txt")).output).toBe("kept\n");
    expect((await world.run(world.worker(), owner, "cat file.txt")).output).toBe("kept\n");
    expect(await world.isAwake(owner)).toBe(false);
    expect(await world.rowOf(owner)).toMatchObject({ state: "suspended", generation: 1, running_command: null });
  });

  it("asks the provider for nothing but thaw, command, processes and freeze when its sandbox is remembered", async () => {
    const owner = await world.createOwner();
    const worker = world.worker({ snapshots: { take: () => Promise.resolve(), restore: () => Promise.resolve() } });
    await world.run(worker, owner, "true");
    const verbs = ["create", "attach", "status", "resume", "spawn", "suspend", "listProcesses", "listTree"];
    const before = verbs.map((verb) => world.memory.controls.calls(verb));
    await world.run(worker, owner, "true");
    const after = verbs.map((verb, index) => world.memory.controls.calls(verb) - (before[index] ?? 0));
    expect(Object.fromEntries(verbs.map((verb, index) => [verb, after[index]]))).toEqual({
      create: 0,
      attach: 0,
      status: 0,
      resume: 1,
      spawn: 1,
      suspend: 1,
      listProcesses: 1,
      listTree: 0,
    });
  });

  it("leaves the sandbox asleep when it cannot be started, and when the projection fails", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "true");
    world.memory.controls.failNext("spawn", new SandboxFileError("failed", "command", "the command: no"));
    await expect(world.run(worker, owner, "true")).rejects.toThrow("the command: no");
    expect(await world.isAwake(owner)).toBe(false);
    const broken = world.worker({
      projection: { before: () => Promise.reject(new Error("no files")), after: () => Promise.resolve(null) },
    });
    await expect(world.run(broken, owner, "true")).rejects.toThrow("no files");
    expect(await world.isAwake(owner)).toBe(false);
    expect(await world.rowOf(owner)).toMatchObject({ state: "suspended", running_command: null, awake_since: null });
  });

  it("names what it leaves behind, five at most, and shows no name as it is", async () => {
    const owner = await world.createOwner();
    const { notices, exit } = await world.run(
      world.worker(),
      owner,
      "sleep 60 & sleep 60 & sleep 60 & sleep 60 & sleep 60 & sleep 60 & sleep 60 & true",
    );
    expect(exit).toEqual({ type: "exited", code: 0 });
    expect(notices.join()).toMatch(/<sandbox_processes>7 processes .*: (sleep, ){4}sleep and 2 more\./);
    expect(await world.isAwake(owner)).toBe(false);
    expect((await world.run(world.worker(), owner, "true")).notices).toEqual([]);
  });
});

describe("a lost sandbox", () => {
  it("that was lost asleep costs no command its outcome: it runs in the next one", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo 1 > file.txt");
    await worker.workspaces.settle();
    await world.lose(owner);
    const outcome = await world.run(worker, owner, "cat file.txt", { commandId: "late" });
    expect([outcome.output, outcome.exit]).toEqual(["1\n", { type: "exited", code: 0 }]);
    expect(outcome.notices.join()).toMatch(/<sandbox_replaced>[^]*generation 2[^]*No command was running/);
    expect((await world.rowOf(owner)).command_attempts).not.toContain("late@1");
  });

  it.each([
    ["was thawed for certain not", true, "not_begun"],
    ["may have been thawed", false, "unknown"],
  ])("that took the command and %s", async (_title, certain, expected) => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo 1 > file.txt");
    await worker.workspaces.settle();
    const { sandbox_id: id } = await world.rowOf(owner);
    // The command's frame has arrived, and the sandbox died.
    world.memory.controls.failNext("spawn", new SandboxGoneError(id ?? "", "the connection broke"));
    world.memory.controls.failNext("resume", new SandboxGoneError(id ?? "", "gone", { reached: !certain }));
    await world.lose(owner);
    const outcome = await world.run(worker, owner, "cat file.txt");
    expect(outcome.exit.type).toBe(expected === "unknown" ? "unknown" : "exited");
    expect(outcome.notices.join()).toContain(expected === "unknown" ? "was not run again" : "No command was running");
  });

  it("under a running command is told as unknown, once, and nothing runs twice", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo 1 > runs.txt");
    await worker.workspaces.settle();
    const running = world.run(worker, owner, "echo 2 >> runs.txt; sleep 10");
    await eventually(() => world.isAwake(owner));
    await world.lose(owner);
    const outcome = await running;
    expect(outcome.exit.type).toBe("unknown");
    expect(outcome.notices).toHaveLength(1);
    expect(outcome.notices.join()).toContain("it was not run again");
    const next = await world.run(worker, owner, "cat runs.txt");
    expect([next.output, next.notices]).toEqual(["1\n", []]);
  });

  it("is told with the next result though its worker died when it had made another", async () => {
    const owner = await world.createOwner();
    await world.run(world.worker(), owner, "true");
    await world.lose(owner);
    // This worker makes generation 2 and dies before any command.
    await world.worker().workspaces.useFiles(owner, { mayChange: false }, () => Promise.resolve());
    const person = await world.run(world.worker(), owner, "true", { toldToModel: false });
    expect(person.notices.join()).toContain("<sandbox_replaced>");
    const first = await world.run(world.worker(), owner, "true", { commandId: "told" });
    expect(first.notices.join()).toContain("<sandbox_replaced>");
    // Its result was lost with its worker: whoever takes it again tells the same.
    const again = await world.run(world.worker(), owner, "true", { commandId: "told", reattach: true });
    expect(again.notices).toEqual(first.notices);
    expect((await world.run(world.worker(), owner, "true")).notices).toEqual([]);
  });

  it("that a person killed is replaced, and its running command is unknown", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo 1 > file.txt");
    await worker.workspaces.settle();
    const running = world.run(worker, owner, "sleep 10");
    await eventually(() => world.isAwake(owner));
    expect(await killSandbox(world.base, owner)).toBe(true);
    expect((await running).exit.type).toBe("unknown");
    expect(await killSandbox(world.base, owner)).toBe(true);
    expect(await world.rowOf(owner)).toMatchObject({ state: "gone", sandbox_id: null, released: "killed" });
    expect(await killSandbox(world.base, owner)).toBe(false);
    const next = await world.run(worker, owner, "cat file.txt");
    expect(next.output).toBe("1\n");
    expect(next.notices.join()).toContain("<sandbox_replaced>");
  });

  it("that does not answer is destroyed and replaced", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "true");
    const { sandbox_id: id } = await world.rowOf(owner);
    const hung = await world.memory.attach({ provider: "memory", id: id ?? "" });
    const { withDeadlines } = await import("./use/deadlines.ts");
    const silent = { ...hung, session: { ...hung.session, stat: () => new Promise<never>(() => undefined) } };
    const bounded = withDeadlines(silent, world.base.log, { answerMs: 20, fileMs: 20, transferMs: 20, graceMs: 5 });
    await expect(bounded.session.stat({ path: "/" })).rejects.toThrow(SandboxGoneError);
    expect((await world.run(worker, owner, "true")).notices.join()).toContain("generation 2");
  });
});

it("a command that somebody suspends by mistake goes on with the next beat of its watch", async () => {
  const owner = await world.createOwner();
  const worker = world.worker();
  await world.run(worker, owner, "true");
  const held = await acquire(world.base, owner);
  await writeIntent(world.base, held, { commandId: "watched", toldToModel: true });
  const command = { commandId: "watched", timeoutMs: 60_000 };
  const watch = watchCommand(world.base, held, command, { beatMs: 20, overdueMs: 60_000 });
  await eventually(() => world.isAwake(owner));
  await held.sandbox.suspend();
  await eventually(() => world.isAwake(owner));
  await watch.stop();
  await held.sandbox.suspend();
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(await world.isAwake(owner)).toBe(false);
});

describe("a result", () => {
  it("of an older generation is refused: its effects are lost", async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    await world.run(worker, owner, "echo 1 > file.txt");
    await worker.workspaces.settle();
    const running = world.run(worker, owner, "sleep 0.3; echo 2 > file.txt; echo done", { commandId: "stale" });
    await eventually(() => world.isAwake(owner));
    // Another worker takes the sandbox for lost, though it lives.
    const { takeFromRow } = await import("./life/end.ts");
    await takeFromRow(world.base, owner, { state: "gone", released: null });
    await world.run(world.worker(), owner, "true");
    const outcome = await running;
    expect([outcome.exit.type, outcome.output]).toEqual(["unknown", ""]);
    expect((await world.run(worker, owner, "cat file.txt")).output).toBe("1\n");
  });

  it("tells awake time once, whoever takes it, and the rest with the next one", async () => {
    const owner = await world.createOwner();
    const slow = await world.run(world.worker(), owner, "sleep 0.3", { commandId: "slow" });
    expect(slow.awakeMs).toBeGreaterThanOrEqual(300);
    expect(slow.awakeMs).toBeLessThan(1_500);
    const again = await world.run(world.worker(), owner, "sleep 0.3", { commandId: "slow", reattach: true });
    expect(again.awakeMs).toBeGreaterThanOrEqual(slow.awakeMs);
    expect(again.awakeMs).toBeLessThan(slow.awakeMs + 250);
    await new Promise((resolve) => setTimeout(resolve, 400));
    const quick = await world.run(world.worker(), owner, "true");
    expect(quick.awakeMs).toBeLessThan(300);
    const { awake_milliseconds: sum } = await world.rowOf(owner);
    expect(Math.abs(sum - again.awakeMs - quick.awakeMs)).toBeLessThan(3);
  });
});
