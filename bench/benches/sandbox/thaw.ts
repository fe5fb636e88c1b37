/** From the request to thaw a sandbox, or to run a command in one that is awake, to the command's first byte. @module */
import { spawn } from "node:child_process";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { pause, withSandbox } from "./sandboxes.ts";

/** Long enough that nothing of the previous round is still warm in a queue; not a rhythm. */
const pauseOf = (round: number): number => 10 + ((round * 17) % 41);
const command = "echo awake";

/** As a client does it: the command goes to the sandbox while the host thaws it. */
async function toFirstByte(sandbox: Sandbox, thaw: boolean): Promise<number> {
  const startedAt = performance.now();
  const [process] = await Promise.all([sandbox.session.spawn({ command }), thaw ? sandbox.resume() : null]);
  let elapsed = Number.NaN;
  for await (const { bytes } of process.output) {
    if (bytes.length === 0) continue;
    elapsed = performance.now() - startedAt;
    break;
  }
  const exit = await process.wait();
  if (exit.type !== "exited" || exit.code !== 0) throw new Error(`the command ended with ${JSON.stringify(exit)}`);
  return elapsed;
}

export async function measureThaws(sandbox: Sandbox, rounds: number): Promise<number[]> {
  const samples: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await sandbox.suspend();
    await pause(pauseOf(round));
    samples.push(await toFirstByte(sandbox, true));
  }
  await sandbox.suspend();
  return samples;
}

export function measureThaw(provider: SandboxProvider, rounds: number): Promise<number[]> {
  return withSandbox(provider, (sandbox) => measureThaws(sandbox, rounds));
}

/** With 20 processes and 200 MB of memory in use, which `tail` keeps until its input ends. */
export function measureLoadedThaw(provider: SandboxProvider, rounds: number): Promise<number[]> {
  const load = [
    "for i in $(seq 20); do sleep 3600 & done",
    "(head -c 209715200 /dev/zero; echo full >&2; exec sleep 3600) | tail -c 209715200 > /dev/null",
  ].join("; ");
  return withSandbox(provider, async (sandbox) => {
    await sandbox.resume();
    const loading = await sandbox.session.spawn({ command: load });
    for await (const { bytes } of loading.output) if (Buffer.from(bytes).includes("full")) break;
    return measureThaws(sandbox, rounds);
  });
}

/** A whole round trip in a sandbox that is awake: request to exit. */
export function measureAwake(provider: SandboxProvider, rounds: number): Promise<number[]> {
  return withSandbox(provider, async (sandbox) => {
    await sandbox.resume();
    const samples: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await pause(pauseOf(round));
      const startedAt = performance.now();
      await sandbox.session.run({ command });
      samples.push(performance.now() - startedAt);
    }
    return samples;
  });
}

/** What this machine needs to start the smallest program without any sandbox: from the call to its end. */
export async function measureSpawn(rounds: number): Promise<number[]> {
  const samples: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await pause(pauseOf(round));
    const startedAt = performance.now();
    await new Promise<void>((resolve, reject) => {
      const child = spawn("/bin/true", { stdio: "ignore" });
      child.once("error", reject);
      child.once("exit", () => resolve());
    });
    samples.push(performance.now() - startedAt);
  }
  return samples;
}
