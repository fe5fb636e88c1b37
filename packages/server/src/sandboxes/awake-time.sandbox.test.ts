/** How long commands keep a sandbox awake, as they report it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { readSandboxFigures } from "./summary.ts";
import { type SandboxTest, startSandboxTest } from "./testing.ts";

let test: SandboxTest;
beforeAll(async () => {
  test = await startSandboxTest();
}, 60_000);
afterAll(() => test.stop());

it("is the time of the command, and the sum is the sandbox's", async () => {
  const owner = await test.createOwner();
  const worker = test.worker();
  const slow = await test.run(worker, owner, "sleep 0.3");
  expect(slow.awakeMs).toBeGreaterThanOrEqual(300);
  // The model thinks: the sandbox sleeps, and that costs nothing.
  await new Promise((resolve) => setTimeout(resolve, 400));
  const quick = await test.run(worker, owner, "true");
  expect(quick.awakeMs).toBeLessThan(400);
  const figures = (await readSandboxFigures(worker.database, [owner.sessionId])).get(owner.sessionId);
  expect(figures?.awake_seconds).toBeCloseTo((slow.awakeMs + quick.awakeMs) / 1_000, 2);
});
