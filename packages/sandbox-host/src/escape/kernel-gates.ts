/** Gates: is what the walls stand on itself known to be broken? Versions and settings of the host. @module */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { release, version } from "node:os";
import { findProgram } from "../machine-programs.ts";
import type { Gate } from "./gate.ts";

type Version = readonly [major: number, minor: number, patch: number];

function parseVersion(text: string): Version {
  const [, major = "0", minor = "0", patch = "0"] = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return [Number(major), Number(minor), Number(patch)];
}

function isAtLeast(one: Version, other: Version): boolean {
  for (const index of [0, 1, 2] as const) {
    if (one[index] !== other[index]) return one[index] > other[index];
  }
  return true;
}

/** Vendors mend older numbers, and tell when they built: "#1 SMP … 2024". */
function wasBuiltAfter(kernel: string, year: number): boolean {
  return (kernel.match(/\b20\d\d\b/g) ?? []).some((each) => Number(each) > year);
}

/** @param mended the first whole version without it, and the first patch of each older line. */
function kernelGate(
  id: string,
  scenario: number,
  vulnerability: string,
  mended: readonly Version[],
  since: Version,
  vulnerable: readonly string[],
): Gate {
  const year = Number(/CVE-(\d+)/.exec(vulnerability)?.[1]);
  const [first, ...lines] = mended;
  return {
    id,
    scenario,
    sentence: `the kernel has ${vulnerability}`,
    observe: async () => `${release()} ${version()}`,
    holds(kernel) {
      const number = parseVersion(kernel);
      if (number[0] === 0) return false;
      if (wasBuiltAfter(kernel, year) || !isAtLeast(number, since)) return true;
      if (first !== undefined && isAtLeast(number, first)) return true;
      return lines.some((line) => line[0] === number[0] && line[1] === number[1] && number[2] >= line[2]);
    },
    controls: () => vulnerable,
  };
}

const launcherVersion: Gate = {
  id: "gate-launcher-version",
  scenario: 9,
  sentence: "the launcher is older than what closes its known holes",
  observe: async () => execFileSync(findProgram("bwrap") ?? "", ["--version"], { encoding: "utf8" }).trim(),
  holds: (text) => isAtLeast(parseVersion(text), [0, 8, 0]),
  controls: () => ["bubblewrap 0.4.0", "bubblewrap 0.7.9", ""],
};

const bpfSetting = "/proc/sys/kernel/unprivileged_bpf_disabled";
const unprivilegedBpf: Gate = {
  id: "gate-unprivileged-bpf",
  scenario: 13,
  sentence:
    "anybody on this host may load programs into the kernel (sysctl kernel.unprivileged_bpf_disabled=1 ends that)",
  observe: async () => (existsSync(bpfSetting) ? readFileSync(bpfSetting, "utf8").trim() : "the kernel has none"),
  holds: (value) => value === "1" || value === "2" || value === "the kernel has none",
  controls: () => ["0", ""],
};

export const kernelGates: readonly Gate[] = [
  kernelGate(
    "gate-dirty-cow",
    11,
    "CVE-2016-5195",
    [
      [4, 8, 3],
      [4, 7, 9],
      [4, 4, 26],
    ],
    [2, 6, 22],
    ["4.8.2", "4.4.25"],
  ),
  kernelGate(
    "gate-dirty-pipe",
    12,
    "CVE-2022-0847",
    [
      [5, 16, 11],
      [5, 15, 25],
      [5, 10, 102],
    ],
    [5, 8, 0],
    ["5.16.10", "5.10.101", "5.8.0 #1 SMP 2021"],
  ),
  kernelGate(
    "gate-bpf-verifier",
    13,
    "CVE-2017-16995",
    [
      [4, 14, 9],
      [4, 9, 72],
    ],
    [4, 4, 0],
    ["4.14.8", "4.9.71"],
  ),
  kernelGate(
    "gate-packet-ring",
    14,
    "CVE-2017-7308",
    [
      [4, 11, 0],
      [4, 10, 10],
      [4, 9, 26],
    ],
    [2, 6, 27],
    ["4.10.6"],
  ),
  kernelGate(
    "gate-release-agent",
    8,
    "CVE-2022-0492",
    [
      [5, 17, 0],
      [5, 16, 6],
      [5, 15, 20],
      [5, 10, 97],
      [5, 4, 177],
    ],
    [2, 6, 24],
    ["5.16.5", "5.15.19"],
  ),
  launcherVersion,
  unprivilegedBpf,
];
