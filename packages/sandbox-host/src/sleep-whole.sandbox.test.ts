import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { expect, it } from "vitest";
import { findRunsc } from "./machine-programs.ts";
import { newSandboxId, openTestHost, resources } from "./test-host.ts";

/** Longer than an answer takes, and no longer than a look may. */
const sleepMs = 1_000;

it.skipIf(findRunsc() === null)("a sandbox that falls asleep with its supervisor answers who asks for it", async () => {
  const test = await openTestHost();
  const provider = await createLocalProvider({ socketPath: test.host.socketPath, runtime: "gvisor" });
  try {
    const sandbox = await provider.create({ id: newSandboxId(), owner: "test", resources, environment: {} });
    let asked = true;
    let longest = 0;
    const asking = async (): Promise<void> => {
      while (asked) {
        const started = performance.now();
        await provider.list();
        longest = Math.max(longest, performance.now() - started);
      }
    };
    const looking = asking();
    for (let round = 0; round < 4; round++) {
      await sandbox.resume();
      await sandbox.suspend();
      await new Promise((resolve) => setTimeout(resolve, sleepMs));
    }
    asked = false;
    await looking;
    expect(longest).toBeLessThan(sleepMs);
    await sandbox.destroy();
  } finally {
    await provider.close();
    await test.close();
  }
});
