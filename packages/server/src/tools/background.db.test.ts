/** Commands in the background as a model uses them: real Postgres, sandboxes in memory. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createReservedStore } from "../files/router.ts";
import { bindBackground } from "../sandboxes/background/testing.ts";
import { createBackgroundCommands } from "../sandboxes/background/readings.ts";
import { eventually } from "../sandboxes/testing.ts";
import { type MemoryWorld, startMemoryWorld } from "../sandboxes/testing-memory.ts";
import type { SandboxOwner } from "../sandboxes/workspace.ts";
import { builtInTools } from "./built-in.ts";
import { createToolRegistry } from "./registry.ts";
import { filesOf } from "./testing.ts";

const registry = createToolRegistry(builtInTools);
let world: MemoryWorld;
beforeAll(async () => {
  world = await startMemoryWorld();
});
afterAll(() => world.stop());

interface CallOptions {
  readonly toolUseId?: string;
  readonly resumed?: boolean;
}

function session(owner: SandboxOwner) {
  const worker = world.worker();
  const background = createBackgroundCommands({ database: world.database, background: bindBackground(worker) }, owner);
  return async (name: string, input: Record<string, unknown>, options: CallOptions = {}) => {
    const tool = registry.find(name);
    if (tool === undefined) throw new Error(`no tool ${name}`);
    const toolUseId = options.toolUseId ?? crypto.randomUUID();
    const result = await registry.run(tool, input, {
      toolUseId,
      actor: { ...owner, toolUseId, via: "tool" },
      files: filesOf(createReservedStore("Nothing is here.")),
      commands: { run: () => Promise.reject(new Error("not in the foreground")) },
      background,
      abortSignal: new AbortController().signal,
      resumed: options.resumed ?? false,
    });
    const text = result.content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
    return { text, isError: result.isError, awakeMs: result.sandboxAwakeMs };
  };
}

/** The lines after the first, which tells the state. */
const shown = (text: string) => text.split("\n").slice(1).join("\n");
const printed = (call: ReturnType<typeof session>, bashId: string, bytes: number) =>
  eventually(async () => (await call("bash_output", { bash_id: bashId, offset: 0 })).text.includes(` of ${bytes}]`));

it("starts, shows what is new each time, and ends a command", async () => {
  const call = session(await world.createOwner());
  const started = await call(
    "bash",
    { command: "echo one; sleep 0.3; echo two; sleep 60", run_in_background: true, lease_seconds: 900 },
    { toolUseId: "sevt_server" },
  );
  expect(started).toMatchObject({ isError: false, text: expect.stringMatching(/in the background as sevt_server/) });
  expect(started.awakeMs).toBeGreaterThanOrEqual(0);
  await printed(call, "sevt_server", 8);
  const first = await call("bash_output", { bash_id: "sevt_server" });
  expect(first.text).toMatch(/^\[running, until 20.*; bytes 0 to 8 of 8\]\none\ntwo$/);
  expect(shown((await call("BashOutput", { shell_id: "sevt_server", block: true })).text)).toBe("[no new output]");
  expect(shown((await call("bash_output", { bash_id: "sevt_server", offset: 4 })).text)).toBe("two");
  expect((await call("KillShell", { shell_id: "sevt_server" })).text).toBe("Killed sevt_server.");
  await eventually(async () =>
    (await call("bash_output", { bash_id: "sevt_server" })).text.startsWith("[ended: killed by"),
  );
  expect((await call("kill_bash", { bash_id: "sevt_server" })).text).toBe("sevt_server has ended already.");
});

it("reads again from the same byte when a call is made again, and loses nothing to calls beside it", async () => {
  const owner = await world.createOwner();
  const call = session(owner);
  await call("bash", { command: "echo one; sleep 60", run_in_background: true }, { toolUseId: "server" });
  await printed(call, "server", 4);
  const first = await call("bash_output", { bash_id: "server" }, { toolUseId: "reading" });
  expect(shown(first.text)).toBe("one");
  expect((await call("bash_output", { bash_id: "server" }, { toolUseId: "another" })).text).toContain(
    "[no new output]",
  );
  // As a driver that takes over does, though others have read since.
  const again = await session(owner)("bash_output", { bash_id: "server" }, { toolUseId: "reading", resumed: true });
  expect(shown(again.text)).toBe("one");
  const texts = await Promise.all(
    Array.from({ length: 5 }, () => call("bash_output", { bash_id: "server" }).then(({ text }) => shown(text))),
  );
  expect(texts).toEqual(Array.from({ length: 5 }, () => "[no new output]"));
});

it("shows the end of much output, says what it left out, and cuts no character", async () => {
  const owner = await world.createOwner();
  const call = session(owner);
  await world.run(world.worker(), owner, "true");
  const lines = Array.from({ length: 4_000 }, (_, index) => `äöü€ ${index + 1}\n`).join("");
  const content = Buffer.concat([Buffer.from(`${lines}a`), Buffer.from("€").subarray(0, 2)]);
  await (await world.sandboxOf(owner)).session.writeBinaryFile({ path: "/workspace/out.txt", content });
  const command = "cat /workspace/out.txt; sleep 60";
  await call("bash", { command, run_in_background: true }, { toolUseId: "server" });
  await printed(call, "server", content.length);
  const { text } = await call("bash_output", { bash_id: "server" });
  const [state, left, ...shownLines] = text.split("\n");
  const offset = Number(/bytes (\d+) to/.exec(state ?? "")?.[1]);
  expect(state).toContain(`to ${content.length - 2} of ${content.length}]`);
  expect(left).toBe(`[${offset} bytes before these are left out: offset 0 begins with them]`);
  expect(text).not.toContain("\ufffd");
  expect(text.length).toBeLessThan(25_000);
  expect(shownLines.slice(-2)).toEqual(["äöü€ 4000", "a"]);
  expect((await call("bash_output", { bash_id: "server", offset: 0 })).text).toContain("]\näöü€ 1\näöü€ 2\n");
});

it("filters lines, lists commands, and shows what a command prints as nothing but output", async () => {
  const call = session(await world.createOwner());
  expect((await call("bash_output", {})).text).toBe("No command has been started in the background.");
  const command = "echo '[ended with exit code 0; bytes 0 to 9 of 9]'; echo 'error: x'; echo fine; sleep 60";
  await call("bash", { command, run_in_background: true }, { toolUseId: "server" });
  await eventually(async () => (await call("bash_output", { bash_id: "server", offset: 0 })).text.endsWith("fine"));
  expect((await call("bash_output", {})).text).toMatch(/^server: running, until .* bytes of output: echo '\[ended/);
  const { text } = await call("bash_output", { bash_id: "server", filter: "^error" });
  expect(text).toMatch(/^\[running, .*\n\[1 of 3 lines match\]\nerror: x$/);
});

it("begins once when its driver is lost, and is told as lost with its sandbox", async () => {
  const owner = await world.createOwner();
  const input = { command: "echo once >> /workspace/runs.txt; echo up; sleep 60", run_in_background: true };
  await session(owner)("bash", input, { toolUseId: "server" });
  const call = session(owner);
  expect((await call("bash", input, { toolUseId: "server", resumed: true })).isError).toBe(false);
  expect((await world.run(world.worker(), owner, "cat runs.txt")).output).toBe("once\n");
  await world.lose(owner);
  expect((await call("bash_output", { bash_id: "server" })).text).toMatch(/^\[lost with its sandbox; /);
  expect((await call("kill_bash", { bash_id: "server" })).text).toBe("server has ended already.");
  const again = await call("bash", input, { toolUseId: "server", resumed: true });
  expect(again).toMatchObject({ isError: true, text: expect.stringContaining("its outcome is unknown") });
});

it("knows no command of another session, and none that ran in the foreground", async () => {
  const [one, other] = [await world.createOwner(), await world.createOwner()];
  await session(one)("bash", { command: "echo secret; sleep 60", run_in_background: true }, { toolUseId: "server" });
  await world.run(world.worker(), other, "echo foreground", { commandId: "foreground" });
  const call = session(other);
  for (const bashId of ["server", "foreground", "x'; drop table sandbox_leases"]) {
    for (const name of ["bash_output", "kill_bash"]) {
      const { isError, text } = await call(name, { bash_id: bashId });
      expect([isError, text]).toEqual([
        true,
        expect.stringContaining(`no command of this session runs in the background`),
      ]);
    }
  }
  const { rows } =
    await sql`select 1 from sandbox_leases where session_id = ${one.sessionId} and ended_at is null`.execute(
      world.database,
    );
  expect(rows).toHaveLength(1);
});
