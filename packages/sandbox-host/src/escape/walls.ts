/**
 * The escape conformance in short form, for every start of the daemon: the most telling probes and the wall that each
 * stands for. They need nothing of the host but its namespaces. `probe-rows.test.ts` holds this list against the whole.
 * @module
 */
import { readlinkSync } from "node:fs";
import { type LiveProbe, judgeAnswers, parseAnswers } from "./probe.ts";

interface WallProbe extends Pick<LiveProbe, "id" | "heldBy"> {
  /** What would be missing. */
  readonly wall: string;
  readonly remedy: "kernel" | "launcher";
  /** Also stands in weak mode, which has the host's namespaces and files. */
  readonly weak: boolean;
}

export interface MissingWall {
  readonly name: string;
  readonly remedy: string;
}

const remedies = {
  kernel: "Use a kernel with seccomp, or another sandbox provider.",
  launcher: "Install a current bubblewrap (0.8 or newer), or use another sandbox provider.",
};

type Row = readonly [id: string, heldBy: readonly string[], wall: string, remedy: "kernel" | "launcher", weak: boolean];

const nothing = ["nothing"];
const refused = ["EPERM"];
const absent = ["ENOENT", "EACCES", "EPERM", "EROFS"];
const rows: readonly Row[] = [
  ["capabilities-effective", nothing, "no capabilities", "launcher", true],
  ["capabilities-bounding", nothing, "no capabilities to be had", "launcher", false],
  ["new-privileges", nothing, "no new privileges", "kernel", true],
  ["system-call-filter", nothing, "a system call filter", "kernel", true],
  ["root-user", nothing, "a user that is not root", "launcher", true],
  ["further-descriptors", nothing, "no further descriptors", "launcher", true],
  ["call-mount", refused, "no mounting", "kernel", true],
  ["unshare-user", refused, "no user namespaces", "kernel", true],
  ["clone-user", refused, "no user namespaces", "kernel", true],
  ["call-clone3", ["ENOSYS"], "no calls that the filter cannot judge", "kernel", true],
  ["call-setns", refused, "no entering of namespaces", "kernel", true],
  ["call-bpf", refused, "no programs in the kernel", "kernel", true],
  ["call-ptrace", refused, "no tracing", "kernel", true],
  ["call-process-vm-readv", refused, "no reading of other processes' memory", "kernel", true],
  ["call-io-uring-setup", refused, "no queues of kernel operations", "kernel", true],
  ["call-keyctl", refused, "no keyrings of the host", "kernel", true],
  ["call-open-by-handle-at", refused, "no opening of files by number", "kernel", true],
  ["packet-raw", ["EAFNOSUPPORT"], "no raw sockets", "kernel", true],
  ["virtual-machine-socket", ["EAFNOSUPPORT"], "no sockets to the hypervisor", "kernel", true],
  ["writable-sysctls", nothing, "kernel settings out of reach", "launcher", false],
  ["core-pattern", absent, "kernel settings out of reach", "launcher", true],
  ["writable-cgroups", nothing, "control groups out of reach", "launcher", false],
  ["block-devices", nothing, "no disks", "launcher", false],
  ["writable-mounts", nothing, "nothing writable but its own", "launcher", false],
  ["interfaces", nothing, "no network interface", "launcher", false],
  ["memory-of-init", absent, "its supervisor's memory out of reach", "launcher", false],
  ["host-environment", nothing, "no environment of the host", "launcher", true],
  ["namespace-user", nothing, "a user namespace of its own", "launcher", false],
  ["namespace-mount", nothing, "mounts of its own", "launcher", false],
  ["namespace-pid", nothing, "processes of its own", "launcher", false],
  ["namespace-network", nothing, "a network of its own", "launcher", false],
  ["namespace-ipc", nothing, "shared memory of its own", "launcher", false],
];

export const wallProbes: readonly WallProbe[] = rows.map(([id, heldBy, wall, remedy, weak]) => ({
  id,
  heldBy,
  wall,
  remedy,
  weak,
}));

const probesOf = (mode: "auto" | "weak"): readonly WallProbe[] =>
  wallProbes.filter((probe) => mode === "auto" || probe.weak);

/**
 * For the probe program, as words without blanks or quotes.
 * @param secret `NAME=value` of the daemon's own environment.
 */
export function wallArguments(mode: "auto" | "weak", secret: string): string[] {
  const namespaces = ["user", "mnt", "pid", "net", "ipc"];
  return [
    `only=${probesOf(mode)
      .map((probe) => probe.id)
      .join(",")}`,
    "init=1",
    `secret=${secret}`,
    ...namespaces.map((name) => `namespace-${name}=${readlinkSync(`/proc/self/ns/${name}`)}`),
  ];
}

/** @param output what the probe program printed inside a sandbox. What it does not tell is missing. */
export function findMissingWalls(output: string, mode: "auto" | "weak"): MissingWall[] {
  const probes = probesOf(mode);
  const missing = new Map<string, MissingWall>();
  judgeAnswers(probes, parseAnswers(output)).forEach(({ held }, index) => {
    const probe = probes[index];
    if (!held && probe !== undefined) missing.set(probe.wall, { name: probe.wall, remedy: remedies[probe.remedy] });
  });
  return [...missing.values()];
}
