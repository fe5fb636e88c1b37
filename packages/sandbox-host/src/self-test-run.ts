/** Has the walls looked at from inside, by a process that is no more than the server is. @module */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { HostConfiguration } from "./configuration.ts";

const patienceMs = 110_000;
/** Of a variable that the daemon has meanwhile, and no sandbox. */
const secretName = "EXOLOOP_SELF_TEST";
export const selfTestId = `sbx_${"0SELFTEST".padEnd(26, "0")}`;

/** @throws SandboxUnavailableError naming the walls that are missing, also when nothing can be told. */
export async function testWalls({ ownerUserId, tools }: HostConfiguration, socketPath: string): Promise<void> {
  const program = join(import.meta.dirname, "self-test.ts");
  const words = [program, "--socket", socketPath, "--probe", tools.probe, "--secret", secretName];
  const identity = ownerUserId === null ? {} : { uid: ownerUserId, gid: ownerUserId };
  process.env[secretName] = "1";
  try {
    const run = promisify(execFile)(process.execPath, words, { timeout: patienceMs, cwd: "/", env: {}, ...identity });
    const { stdout } = await run;
    const found: unknown = JSON.parse(stdout);
    if (found === null) return;
    const { message, remedy } = found as { readonly message: string; readonly remedy: string };
    throw new SandboxUnavailableError(message, remedy);
  } catch (error) {
    if (error instanceof SandboxUnavailableError) throw error;
    const reason = error instanceof Error ? error.message.slice(0, 500) : String(error);
    throw new SandboxUnavailableError(
      `the self-test did not run: ${reason}`,
      "Let the server's user read this program.",
    );
  } finally {
    delete process.env[secretName];
  }
}
