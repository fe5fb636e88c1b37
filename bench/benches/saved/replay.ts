/**
 * Runs a part of the trace for real, faster than it was: a real sandbox sleeps through scaled commands and is frozen in
 * between. What it was awake is held against what the simulation says of the same part.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import type { Trace } from "./trace.ts";

const resources = { memoryBytes: 512 * 1024 ** 2, processes: 128, cpus: 1, diskBytes: 1024 ** 3, files: 100_000 };

async function withSandbox<Result>(
  provider: SandboxProvider,
  work: (sandbox: Sandbox) => Promise<Result>,
): Promise<Result> {
  const request = { id: createId("sandbox"), owner: "bench", resources, environment: {} };
  const sandbox = await provider.create(request);
  try {
    return await work(sandbox);
  } finally {
    await sandbox.destroy();
  }
}

/** From the request to thaw to the answer that it is frozen again. */
async function timeAwake(sandbox: Sandbox, command: string): Promise<number> {
  const startedAt = performance.now();
  const [process] = await Promise.all([sandbox.session.spawn({ command }), sandbox.resume()]);
  await process.wait();
  await sandbox.suspend();
  return performance.now() - startedAt;
}

/** What one command costs besides itself: samples of a command that does nothing. */
export function measureOverhead(provider: SandboxProvider, rounds: number): Promise<number[]> {
  return withSandbox(provider, async (sandbox) => {
    const samples: number[] = [];
    for (let round = 0; round < rounds; round += 1) samples.push(await timeAwake(sandbox, ":"));
    return samples;
  });
}

export interface ReplayedCommand {
  /** As the trace has it, scaled. */
  readonly commandMs: number;
  readonly awakeMs: number;
}

/**
 * The first `count` commands of the trace that are not too long once scaled, with their thinking.
 * @param speed how many times faster than the trace
 */
export function replay(
  provider: SandboxProvider,
  trace: Trace,
  count: number,
  speed: number,
): Promise<readonly ReplayedCommand[]> {
  const steps = trace.sessions.flat().flatMap((request) => request.steps);
  return withSandbox(provider, async (sandbox) => {
    const done: ReplayedCommand[] = [];
    for (const step of steps) {
      await new Promise((resolve) => setTimeout(resolve, step.thinkMs / speed));
      for (const full of step.commandMs) {
        const commandMs = full / speed;
        if (commandMs > 1000) continue;
        // A number of ours, never text of a model.
        const awakeMs = await timeAwake(sandbox, `exec sleep ${(commandMs / 1000).toFixed(6)}`);
        done.push({ commandMs, awakeMs });
      }
      if (done.length >= count) break;
    }
    return done;
  });
}
