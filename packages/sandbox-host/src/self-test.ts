/** Looks from inside a real sandbox whether the walls stand. A daemon whose walls do not stand refuses to run. @module */
import { readFileSync } from "node:fs";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { createChannels } from "@exoloop/sandbox/providers/local/channels";
import { runCommand } from "@exoloop/sandbox/providers/local/commands";
import type { HostConfiguration } from "./configuration.ts";
import type { SandboxRegistry } from "./registry.ts";
import { connectSupervisor } from "./supervisor-link.ts";

const selfTestId = `sbx_${"0SELFTEST".padEnd(26, "0")}`;
/** A busy machine is slow, not open. */
const patienceMs = 60_000;

/** Prints `name=value` lines. Files below /proc/sys are asked for permission, never opened for writing. */
const probe = `
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

const resources = { memoryBytes: 256 << 20, processes: 64, diskBytes: 64 << 20 };
const kernelRemedy = "Use a kernel with seccomp, or another sandbox provider.";
const launcherRemedy = "Install a current bubblewrap (0.8 or newer), or use another sandbox provider.";

function parse(text: string): Map<string, string> {
  const facts = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) facts.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  return facts;
}

function userOf(pid: number | null): number | null {
  const status = pid === null ? "" : readFileSync(`/proc/${pid}/status`, "utf8");
  const user = /^Uid:\s+(\d+)/m.exec(status)?.[1];
  return user === undefined ? null : Number(user);
}

function judge(facts: ReadonlyMap<string, string>, configuration: HostConfiguration, userId: number | null): Wall[] {
  const own = process.getuid?.() ?? 0;
  const always: Wall[] = [
    { name: "no capabilities", stands: /^0+$/.test(facts.get("CapEff") ?? ""), remedy: launcherRemedy },
    { name: "no new privileges", stands: facts.get("NoNewPrivs") === "1", remedy: kernelRemedy },
    { name: "a system call filter", stands: facts.get("Seccomp") === "2", remedy: kernelRemedy },
    {
      name: "a user id of its own",
      stands: configuration.userIds === null || (userId !== null && userId !== own && userId !== 0),
      remedy: "Run the sandbox host as root on the machine itself.",
    },
    { name: "no environment of the host", stands: facts.get("hostEnvironment") === "0", remedy: launcherRemedy },
  ];
  if (configuration.mode === "weak") return always;
  return [
    ...always,
    { name: "kernel settings out of reach", stands: facts.get("writableSysctls") === "0", remedy: launcherRemedy },
    { name: "no network interface", stands: facts.get("interfaces") === "0", remedy: launcherRemedy },
  ];
}

/** @throws SandboxUnavailableError naming the walls that are missing. */
export async function testWalls(configuration: HostConfiguration, registry: SandboxRegistry): Promise<void> {
  process.env["EXOLOOP_SELF_TEST"] = "1";
  try {
    await registry.destroy(selfTestId);
    await registry.create({ id: selfTestId, resources, environment: {} });
    await registry.resume(selfTestId);
    const { supervisorPid } = registry.stateOf(selfTestId);
    const channels = createChannels(
      {
        openChannel: (id) => connectSupervisor(registry.socketOf(id)),
        call: () => Promise.reject(new Error()),
        close() {},
      },
      selfTestId,
    );
    const { exit, stdout, stderr } = await runCommand(channels, { command: probe, timeoutMs: patienceMs });
    channels.close();
    if (exit.type !== "exited" || exit.code !== 0) {
      const text = `a sandbox starts but cannot run a command: ${JSON.stringify(exit)} ${stderr.slice(0, 300)}`;
      throw new SandboxUnavailableError(text, "Run `exoloop doctor`.");
    }
    const missing = judge(parse(stdout), configuration, userOf(supervisorPid)).filter((wall) => !wall.stands);
    const [first] = missing;
    if (first === undefined) return;
    const names = missing.map((wall) => wall.name).join(", ");
    throw new SandboxUnavailableError(`a sandbox on this machine would lack: ${names}`, first.remedy);
  } finally {
    delete process.env["EXOLOOP_SELF_TEST"];
    await registry.destroy(selfTestId);
  }
}
