/** Looks from inside a real sandbox whether the walls stand. A daemon whose walls do not stand refuses to run. @module */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { encodeNumber, encodeString, frameTypes } from "@exoloop/sandbox/providers/local/frames";
import type { HostConfiguration } from "./configuration.ts";
import { type MissingWall, findMissingWalls, wallArguments } from "./escape/walls.ts";
import type { SandboxRegistry } from "./registry.ts";
import { connectSupervisor } from "./supervisor-link.ts";

const testIds = ["0SELFTEST", "1SELFTEST"].map((name) => `sbx_${name.padEnd(26, "0")}`);
/** A busy machine is slow, not open. */
const patienceMs = 60_000;
/** Of a variable that the daemon has meanwhile, and no sandbox. */
const secretName = "EXOLOOP_SELF_TEST";
const mostOutputBytes = 1 << 20;

const resources = { memoryBytes: 256 << 20, processes: 64, cpus: 1, diskBytes: 64 << 20, files: 10_000 };

/** Runs a shell command in an awake sandbox. @throws SandboxUnavailableError when it does not end well. */
async function runInside(socketPath: string, command: string): Promise<string> {
  const connection = await connectSupervisor(socketPath);
  const numbers = [encodeNumber(0, 1), encodeNumber(patienceMs, 4), encodeNumber(0, 4), encodeNumber(0, 8)];
  await connection.write(frameTypes.spawn, ...numbers, ...["self-test", "/", command].map(encodeString));
  let output = "";
  for (let frame = await connection.read(); frame !== null; frame = await connection.read()) {
    if (frame.type === frameTypes.output) output += frame.payload.subarray(1).toString("utf8");
    if (output.length > mostOutputBytes || frame.type === frameTypes.error) break;
    if (frame.type !== frameTypes.exit) continue;
    connection.close();
    // Kind 1: exited; then the code.
    if (frame.payload.readUInt8(0) === 1 && frame.payload.readInt32LE(1) === 0) return output;
    break;
  }
  connection.close();
  const text = `a sandbox starts but cannot run a command: ${output.slice(0, 300)}`;
  throw new SandboxUnavailableError(text, "Run `exoloop doctor`.");
}

/** Real user id; null: it is not known, or it ended. */
function userOf(pid: number | null): number | null {
  const status = pid === null ? "" : readFileSync(`/proc/${pid}/status`, "utf8");
  const user = /^Uid:\s+(\d+)/m.exec(status)?.[1];
  return user === undefined ? null : Number(user);
}

/** Pairwise different: root, the daemon, the server, and the sandboxes. */
export function areApart(sandboxes: readonly (number | null)[], others: readonly number[]): boolean {
  return (
    !sandboxes.includes(null) && new Set([...sandboxes, ...others]).size === sandboxes.length + new Set(others).size
  );
}

async function lookInside(configuration: HostConfiguration, registry: SandboxRegistry): Promise<MissingWall[]> {
  const { userIds, ownerUserId, mode, tools } = configuration;
  const make = { owner: "self_test", runtime: "bubblewrap", resources, environment: {} } as const;
  const locations = await Promise.all(testIds.map((id) => registry.create({ id, ...make })));
  const [id = ""] = testIds;
  await registry.resume(id);
  const probe = mode === "weak" ? tools.probe : join("/opt/exoloop/bin", basename(tools.probe));
  const words = [probe, ...wallArguments(mode, `${secretName}=1`)];
  const answers = await runInside(locations[0]?.socketPath ?? "", words.map((word) => `'${word}'`).join(" "));
  const missing = findMissingWalls(answers, mode);
  const users = testIds.map((testId) => userOf(registry.stateOf(testId).supervisorPid));
  const others = [0, process.getuid?.() ?? 0, ...(ownerUserId === null ? [] : [ownerUserId])];
  if (userIds === null || areApart(users, others)) return missing;
  const remedy = "Run the sandbox host as root on the machine itself, and the server as a user outside of its range.";
  return [...missing, { name: "a user id of its own", remedy }];
}

/** @throws SandboxUnavailableError naming the walls that are missing. */
export async function testWalls(configuration: HostConfiguration, registry: SandboxRegistry): Promise<void> {
  process.env[secretName] = "1";
  try {
    await Promise.all(testIds.map((id) => registry.destroy(id)));
    const missing = await lookInside(configuration, registry);
    const [first] = missing;
    if (first === undefined) return;
    const names = missing.map((wall) => wall.name).join(", ");
    throw new SandboxUnavailableError(`a sandbox on this machine would lack: ${names}`, first.remedy);
  } finally {
    delete process.env[secretName];
    await Promise.all(testIds.map((id) => registry.destroy(id)));
  }
}
