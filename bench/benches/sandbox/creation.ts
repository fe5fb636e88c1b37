/** From the request for a new sandbox to the first byte of its first command; and what many of them weigh. @module */
import { readFileSync } from "node:fs";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { createSandbox, pause, resources } from "./sandboxes.ts";
import { measureThaws } from "./thaw.ts";

async function toFirstByte(provider: SandboxProvider): Promise<number> {
  const startedAt = performance.now();
  const sandbox = await createSandbox(provider);
  const [process] = await Promise.all([sandbox.session.spawn({ command: "echo born" }), sandbox.resume()]);
  let elapsed = Number.NaN;
  for await (const { bytes } of process.output) {
    if (bytes.length === 0) continue;
    elapsed = performance.now() - startedAt;
    break;
  }
  await process.wait();
  await sandbox.destroy();
  return elapsed;
}

export async function measureColdCreation(provider: SandboxProvider, rounds: number): Promise<number[]> {
  await provider.keepWarm({ count: 0, resources, environment: {} });
  const samples: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    samples.push(await toFirstByte(provider));
    await pause(10);
  }
  return samples;
}

/** The pool has time to fill up again between two of them, as it has between two sessions. */
export async function measurePooledCreation(provider: SandboxProvider, rounds: number): Promise<number[]> {
  await provider.keepWarm({ count: 2, resources, environment: {} });
  const samples: number[] = [];
  await pause(500);
  for (let round = 0; round < rounds; round += 1) {
    samples.push(await toFirstByte(provider));
    await pause(60);
  }
  await provider.keepWarm({ count: 0, resources, environment: {} });
  return samples;
}

/** Bytes that this machine could still give out (proc(5), MemAvailable). */
function readAvailableMemory(): number {
  const kibibytes = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  return Number(kibibytes) * 1024;
}

export interface CrowdFigures {
  /** MB for each suspended sandbox that has run one command. */
  readonly megabytesEach: number;
  /** Of one among them. */
  readonly thaws: readonly number[];
}

export async function measureCrowd(provider: SandboxProvider, count: number, rounds: number): Promise<CrowdFigures> {
  const crowd: Sandbox[] = [];
  try {
    // The first one pays for what all share.
    const first = await createSandbox(provider);
    crowd.push(first);
    await measureThaws(first, 1);
    await pause(1000);
    const before = readAvailableMemory();
    while (crowd.length <= count) {
      const sandbox = await createSandbox(provider);
      crowd.push(sandbox);
      await measureThaws(sandbox, 1);
    }
    await pause(3000);
    const megabytesEach = (before - readAvailableMemory()) / count / 1e6;
    return { megabytesEach, thaws: await measureThaws(first, rounds) };
  } finally {
    for (const sandbox of crowd) await sandbox.destroy();
  }
}
