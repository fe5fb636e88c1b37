import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { expect, it } from "vitest";
import { createLogger } from "../../telemetry/logger.ts";
import { withDeadlines } from "./deadlines.ts";
import { watchCommand } from "./watch-command.ts";

const log = createLogger("silent");
const deadlines = { answerMs: 30, fileMs: 30, transferMs: 30, graceMs: 5 };
const resources = { memoryBytes: 2 ** 26, processes: 8, cpus: 1, diskBytes: 2 ** 20, files: 100 };
const never = () => new Promise<never>(() => undefined);

async function createSandbox() {
  const provider = createMemoryProvider();
  const sandbox = await provider.create({ id: "sbx_1", owner: "test", resources, environment: {} });
  return { provider, sandbox };
}

it("what does not answer is destroyed, whatever was asked", async () => {
  for (const verb of ["resume", "suspend", "status"] as const) {
    const { provider, sandbox } = await createSandbox();
    await expect(withDeadlines({ ...sandbox, [verb]: never }, log, deadlines)[verb]()).rejects.toThrow(
      SandboxGoneError,
    );
    expect(await provider.list()).toEqual([]);
  }
  const { provider, sandbox } = await createSandbox();
  const stuck = { next: never, [Symbol.asyncIterator]: () => stuck };
  const session = { ...sandbox.session, spawn: never, placeEntries: never, fetchFiles: () => stuck };
  const bounded = withDeadlines({ ...sandbox, session }, log, deadlines).session;
  await expect(bounded.spawn({ command: "true" })).rejects.toThrow(SandboxGoneError);
  await expect(bounded.placeEntries({ entries: [] })).rejects.toThrow(SandboxGoneError);
  await expect(bounded.fetchFiles({ paths: [] })[Symbol.asyncIterator]().next()).rejects.toThrow(SandboxGoneError);
  expect(await provider.list()).toEqual([]);
});

it("what answers in time keeps its sandbox, and errors are its own", async () => {
  const { provider, sandbox } = await createSandbox();
  const bounded = withDeadlines(sandbox, log, deadlines);
  await bounded.resume();
  expect(await bounded.session.stat({ path: "/nowhere" })).toBeNull();
  provider.controls.failNext("stat", new Error("its own"));
  await expect(bounded.session.stat({ path: "/" })).rejects.toThrow("its own");
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(await provider.list()).toHaveLength(1);
});

it("a sandbox that does not tell a command's end is destroyed", async () => {
  const { provider, sandbox } = await createSandbox();
  const owner = { sessionId: "s", organizationId: "o" };
  const held = { owner, sandbox, generation: 1 };
  const command = { commandId: "c", timeoutMs: 10 };
  const watch = watchCommand({ database: never, log } as never, held, command, { beatMs: 60_000, overdueMs: 30 });
  await expect(watch.until(never())).rejects.toThrow(SandboxGoneError);
  await watch.stop();
  expect(await provider.list()).toEqual([]);
});
