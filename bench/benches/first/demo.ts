/** The demo, as a person runs it after installation. @module */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const cli = fileURLToPath(new URL("../../../packages/cli/src/main.ts", import.meta.url));

/** Seconds of `exoloop demo --json` on the scripted model, process start included. @throws when the demo fails */
export async function measureDemo(home: string): Promise<number> {
  const startedAt = performance.now();
  await promisify(execFile)(process.execPath, [cli, "demo", "--json", "--model", "scripted/repair"], {
    env: { PATH: process.env["PATH"], EXOLOOP_HOME: home },
    timeout: 120_000,
  });
  return (performance.now() - startedAt) / 1000;
}
