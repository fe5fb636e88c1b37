/**
 * A process that runs small commands in one sandbox, again and again, and tells what it took when it is asked:
 * `node neighbour.ts SOCKET SANDBOX PAUSE`, forked. It shares nothing with whoever drives an attack but the machine.
 * @module
 */
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import type { NeighbourSample } from "./samples.ts";

const [socketPath = "", sandboxId = "", pause] = process.argv.slice(2);
const provider = await createLocalProvider({ socketPath });
const sandbox = await provider.attach({ provider: provider.id, id: sandboxId });
const samples: NeighbourSample[] = [];
let wanted = true;
process.on("message", () => void process.send?.(samples.splice(0)));
process.on("disconnect", () => (wanted = false));
process.send?.("ready");
while (wanted) {
  const before = performance.now();
  const { stdout } = await sandbox.session.run({ command: "echo neighbour" });
  if (stdout !== "neighbour\n") throw new Error("the neighbour did not answer");
  samples.push([performance.timeOrigin + before, performance.now() - before]);
  if (Number(pause) > 0) await new Promise((resolve) => setTimeout(resolve, Number(pause)));
}
await provider.close();
