/**
 * Looks from inside a real sandbox whether the walls stand: `node self-test.ts --socket PATH --probe PATH --secret NAME`.
 * A process of its own that is a client like any other, without the daemon's privileges where there is another user.
 * Its only line on standard output is JSON: null, or what is wrong and what mends it.
 * @module
 */
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type MissingWall, findMissingWalls, wallArguments } from "./escape/walls.ts";

const testId = `sbx_${"0SELFTEST".padEnd(26, "0")}`;
/** A busy machine is slow, not open. */
const patienceMs = 60_000;
const resources = { memoryBytes: 256 << 20, processes: 64, cpus: 1, diskBytes: 64 << 20, files: 10_000 };

async function findMissing(socketPath: string, probe: string, secretName: string): Promise<MissingWall[]> {
  const provider = await createLocalProvider({ socketPath });
  const mode = provider.capabilities.isolation === "weak" ? "weak" : "auto";
  const program = mode === "weak" ? probe : join("/opt/exoloop/bin", basename(probe));
  try {
    const sandbox = await provider.create({ id: testId, owner: "self_test", resources, environment: {} });
    await sandbox.resume();
    const command = [program, ...wallArguments(mode, `${secretName}=1`)].map((word) => `'${word}'`).join(" ");
    const { exit, stdout, stderr } = await sandbox.session.run({
      command,
      workingDirectory: "/",
      timeoutMs: patienceMs,
    });
    if (exit.type === "exited" && exit.code === 0) return findMissingWalls(stdout, mode);
    const text = `a sandbox starts but cannot run a command: ${JSON.stringify(exit)} ${stderr.slice(0, 300)}`;
    throw new SandboxUnavailableError(text, "Run `exoloop doctor`.");
  } finally {
    await provider.close();
  }
}

async function test(): Promise<{ readonly message: string; readonly remedy: string } | null> {
  const options = { socket: { type: "string" }, probe: { type: "string" }, secret: { type: "string" } } as const;
  const { socket = "", probe = "", secret = "" } = parseArgs({ options }).values;
  try {
    const missing = await findMissing(socket, probe, secret);
    const [first] = missing;
    if (first === undefined) return null;
    const names = missing.map((wall) => wall.name).join(", ");
    return { message: `a sandbox on this machine would lack: ${names}`, remedy: first.remedy };
  } catch (error) {
    const remedy = error instanceof SandboxUnavailableError ? error.remedy : "Run `exoloop doctor`.";
    return { message: error instanceof Error ? error.message : String(error), remedy };
  }
}

process.stdout.write(`${JSON.stringify(await test())}\n`);
