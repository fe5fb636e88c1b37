/** Looks from inside a real sandbox whether the walls stand. A daemon whose walls do not stand refuses to run. @module */
import { readFileSync } from "node:fs";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { encodeNumber, encodeString, frameTypes } from "@exoloop/sandbox/providers/local/frames";
import type { HostConfiguration } from "./configuration.ts";
import type { SandboxRegistry } from "./registry.ts";
import { connectSupervisor } from "./supervisor-link.ts";

const testIds = ["0SELFTEST", "1SELFTEST"].map((name) => `sbx_${name.padEnd(26, "0")}`);
/** A busy machine is slow, not open. */
const patienceMs = 60_000;
const mostOutputBytes = 1 << 20;

/** Prints `name=value` lines. Files below /proc/sys are asked for permission, never opened for writing. */
const wallsCommand = `
while read -r name value; do
  case "$name" in CapEff:|NoNewPrivs:|Seccomp:) echo "\${name%:}=$value";; esac
done < /proc/self/status
echo "writableSysctls=$(find /proc/sys -writable -type f 2>/dev/null | wc -l)"
echo "interfaces=$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | grep -v '^lo$' | wc -l)"
echo "hostEnvironment=$(tr '\\0' '\\n' < /proc/1/environ 2>/dev/null | grep -c '^EXOLOOP_SELF_TEST=')"
`;

interface Wall {
  readonly name: string;
  readonly stands: boolean;
  readonly remedy: string;
}

const resources = { memoryBytes: 256 << 20, processes: 64, cpus: 1, diskBytes: 64 << 20, files: 10_000 };
const kernelRemedy = "Use a kernel with seccomp, or another sandbox provider.";
const launcherRemedy = "Install a current bubblewrap (0.8 or newer), or use another sandbox provider.";

/** Runs a shell command in an awake sandbox. @throws SandboxUnavailableError when it does not end well. */
async function runInside(socketPath: string, command: string): Promise<string> {
  const connection = await connectSupervisor(socketPath);
  const numbers = [encodeNumber(0, 1), encodeNumber(patienceMs, 4), encodeNumber(0, 4)];
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

function parse(text: string): Map<string, string> {
  const facts = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) facts.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  return facts;
}

/** Real user id; null: it is not known, or it ended. */
function userOf(pid: number | null): number | null {
  const status = pid === null ? "" : readFileSync(`/proc/${pid}/status`, "utf8");
  const user = /^Uid:\s+(\d+)/m.exec(status)?.[1];
  return user === undefined ? null : Number(user);
}

/** Pairwise different: root, the daemon, the server, and the sandboxes. */
export function areApart(sandboxes: readonly (number | null)[], others: readonly number[]): boolean {
  return !sandboxes.includes(null) && new Set([...sandboxes, ...others]).size === sandboxes.length + new Set(others).size;
}

function judge(
  facts: ReadonlyMap<string, string>,
  { userIds, ownerUserId, mode }: HostConfiguration,
  users: readonly (number | null)[],
): Wall[] {
  const others = [0, process.getuid?.() ?? 0, ...(ownerUserId === null ? [] : [ownerUserId])];
  const always: Wall[] = [
    { name: "no capabilities", stands: /^0+$/.test(facts.get("CapEff") ?? ""), remedy: launcherRemedy },
    { name: "no new privileges", stands: facts.get("NoNewPrivs") === "1", remedy: kernelRemedy },
    { name: "a system call filter", stands: facts.get("Seccomp") === "2", remedy: kernelRemedy },
    {
      name: "a user id of its own",
      stands: userIds === null || areApart(users, others),
      remedy: "Run the sandbox host as root on the machine itself, and the server as a user outside of its range.",
    },
    { name: "no environment of the host", stands: facts.get("hostEnvironment") === "0", remedy: launcherRemedy },
  ];
  if (mode === "weak") return always;
  return [
    ...always,
    { name: "kernel settings out of reach", stands: facts.get("writableSysctls") === "0", remedy: launcherRemedy },
    { name: "no network interface", stands: facts.get("interfaces") === "0", remedy: launcherRemedy },
  ];
}

async function lookInside(configuration: HostConfiguration, registry: SandboxRegistry): Promise<Wall[]> {
  const make = { owner: "self_test", runtime: "bubblewrap", resources, environment: {} } as const;
  const locations = await Promise.all(testIds.map((id) => registry.create({ id, ...make })));
  const [id = ""] = testIds;
  await registry.resume(id);
  const socketPath = locations[0]?.socketPath ?? "";
  const users = testIds.map((testId) => userOf(registry.stateOf(testId).supervisorPid));
  const facts = parse(await runInside(socketPath, wallsCommand));
  // Further looks from inside belong here: each returns its walls.
  return judge(facts, configuration, users);
}

/** @throws SandboxUnavailableError naming the walls that are missing. */
export async function testWalls(configuration: HostConfiguration, registry: SandboxRegistry): Promise<void> {
  process.env["EXOLOOP_SELF_TEST"] = "1";
  try {
    await Promise.all(testIds.map((id) => registry.destroy(id)));
    const missing = (await lookInside(configuration, registry)).filter((wall) => !wall.stands);
    const [first] = missing;
    if (first === undefined) return;
    const names = missing.map((wall) => wall.name).join(", ");
    throw new SandboxUnavailableError(`a sandbox on this machine would lack: ${names}`, first.remedy);
  } finally {
    delete process.env["EXOLOOP_SELF_TEST"];
    await Promise.all(testIds.map((id) => registry.destroy(id)));
  }
}
