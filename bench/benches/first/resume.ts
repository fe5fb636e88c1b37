/** From the request to thaw a sandbox to the first byte of a command's output. @module */
import { createId } from "@exoloop/protocol/ids";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { startSandboxHost } from "@exoloop/sandbox-host/start";

/** Milliseconds, as a client of the sandbox host sees them: sockets, thaw, spawn and `echo` included. */
export async function measureResume(directory: string, rounds: number): Promise<number[]> {
  const host = await startSandboxHost({ directory, mode: "auto", endsWithParent: true });
  const provider = await createLocalProvider({ socketPath: host.socketPath });
  const samples: number[] = [];
  try {
    const sandbox = await provider.create({
      id: createId("sandbox"),
      resources: { memoryBytes: 512 * 1024 ** 2, processes: 128, diskBytes: 1024 ** 3, cpus: 2, files: 100_000 },
      owner: "bench",
      environment: {},
    });
    for (let round = 0; round < rounds; round += 1) {
      await sandbox.suspend();
      // Long enough that nothing of the previous round is still warm in a queue.
      await new Promise((resolve) => setTimeout(resolve, 5 + (round % 20)));
      const startedAt = performance.now();
      await sandbox.resume();
      const command = await sandbox.session.spawn({ command: "echo awake" });
      for await (const chunk of command.output) {
        if (chunk.bytes.length > 0) {
          samples.push(performance.now() - startedAt);
          break;
        }
      }
      await command.wait();
    }
    await sandbox.destroy();
  } finally {
    await provider.close();
    await host.stop();
  }
  return samples;
}
