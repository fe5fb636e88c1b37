/**
 * What is expected of each kind of sandbox. The catalogue is bubblewrap's. gVisor is a kernel of its own: what it shows
 * of itself is declared here, one by one, with the reason; a declared probe leaves the denominator and is counted apart.
 * @module
 */
import type { SandboxRuntime } from "@exoloop/sandbox/providers/local/host-messages";
import { exportProbes } from "./export-probes.ts";
import type { Gate } from "./gate.ts";
import { kernelGates } from "./kernel-gates.ts";
import { launchGates } from "./launch-gates.ts";
import { insideProbes } from "./probe-rows.ts";
import type { LiveProbe } from "./probe.ts";

export interface Difference {
  readonly id: string;
  readonly reason: string;
  /** The answers that mean held there. Null: the probe is not asked of it, since what it reaches is not the host's. */
  readonly heldBy: readonly string[] | null;
}

export interface Expectations {
  readonly live: readonly LiveProbe[];
  readonly gates: readonly Gate[];
  readonly declared: readonly Difference[];
}

const root = "the workload is root of gVisor's own kernel, which runs as an unprivileged user of the host";
const devices = "gVisor's own devices, which are memory of its kernel";
const system = "gVisor's own /sys and /proc/sys, which are memory of its kernel";
const older = "gVisor's kernel answers otherwise";
const bubblewrapOnly = "it is about how bubblewrap is started";

type Row = readonly [ids: readonly string[], reason: string, heldBy: readonly string[] | null];
const gvisorRows: readonly Row[] = [
  [["call-setuid", "call-setgid", "change-owner", "raise-priority", "root-user"], root, null],
  [["make-block-device", "make-character-device", "unusual-devices", "device-fuse", "device-tunnel"], devices, null],
  [["writable-device-directory", "unbounded-memory-files"], devices, null],
  [["sys-block", "sys-modules", "sys-firmware", "sys-kernel", "sys-cgroups", "writable-sysctls"], system, null],
  [["writable-mounts", "powerful-mounts"], system, null],
  [["descriptors-of-init"], "the supervisor has the workload's user id there", null],
  [["new-privileges", "capabilities-ambient", "namespace-cgroup"], "gVisor's /proc does not tell it", ["ENOENT"]],
  [["real-time-scheduling"], older, ["EINVAL"]],
  [["name-host-process"], older, ["ENOSYS"]],
  [["route-out", "route-metadata"], older, ["EHOSTUNREACH"]],
  [["gate-launcher-version", "gate-launcher-flags", "gate-mount-sources", "gate-mount-table"], bubblewrapOnly, null],
  [["gate-capabilities", "gate-unchanged-files"], bubblewrapOnly, null],
  [["gate-user-ids", "gate-memory-limit", "gate-process-limit"], "the host sees no process of the workload", null],
];

export const gvisorDifferences: readonly Difference[] = gvisorRows.flatMap(([ids, reason, heldBy]) =>
  ids.map((id) => ({ id, reason, heldBy })),
);

export const allLiveProbes: readonly LiveProbe[] = [...insideProbes, ...exportProbes];
export const allGates: readonly Gate[] = [...kernelGates, ...launchGates];

export function expectationsFor(runtime: SandboxRuntime): Expectations {
  const declared = runtime === "gvisor" ? gvisorDifferences : [];
  const differenceOf = (id: string): Difference | undefined => declared.find((each) => each.id === id);
  const isAsked = ({ id }: { readonly id: string }): boolean => differenceOf(id)?.heldBy !== null;
  return {
    live: allLiveProbes
      .filter(isAsked)
      .map((probe) => ({ ...probe, heldBy: differenceOf(probe.id)?.heldBy ?? probe.heldBy })),
    gates: allGates.filter(isAsked),
    declared,
  };
}
