/** What this machine can isolate, what is missing, and what mends it. Tries things out; leaves nothing behind. @module */
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { discoverCgroups, hasCpuLimit, hasResourceLimits, removeHostGroups } from "./cgroup-host.ts";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { bubblewrapRemedy } from "./configuration.ts";
import { buildGuest, findPrebuilt, hashGuestSources } from "./guest-build.ts";
import { checkRunsc, findProgram } from "./machine-programs.ts";
import { namespaceRemedy } from "./launch/launch.ts";
import { type UserIdRange, findUserIds } from "./user-ids.ts";

export interface Finding {
  readonly id: string;
  readonly title: string;
  /** `missing`: the local sandbox does not work. `degraded`: it works with less. */
  readonly state: "ok" | "missing" | "degraded";
  readonly detail: string;
  readonly remedy?: string;
}

export interface DiagnoseOptions {
  /** Where programs are looked for, like PATH. */
  readonly searchPath?: string;
}

const launchPatienceMs = 10_000;

const execute = promisify(execFile);

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stderr = "stderr" in error ? String(error.stderr).trim() : "";
  return (stderr || error.message).split("\n").slice(-1).join("").slice(0, 300);
}

async function checkBubblewrap(program: string | null): Promise<Finding> {
  const base = { id: "bubblewrap", title: "bubblewrap" };
  const remedy = `Install it: ${bubblewrapRemedy}`;
  if (program === null) return { ...base, state: "missing", detail: "bubblewrap is not installed", remedy };
  try {
    const { stdout } = await execute(program, ["--version"], { timeout: launchPatienceMs });
    const version = /(\d+)\.(\d+)/.exec(stdout);
    const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
    if (major > 0 || minor >= 8) return { ...base, state: "ok", detail: `${stdout.trim()} at ${program}` };
    const detail = `${stdout.trim()} is too old: 0.8 or newer is needed`;
    return { ...base, state: "missing", detail, remedy: "Upgrade bubblewrap to 0.8 or newer." };
  } catch (error) {
    return { ...base, state: "missing", detail: `${program} does not run: ${describe(error)}`, remedy };
  }
}

async function checkNamespaces(program: string | null): Promise<Finding> {
  const base = { id: "namespaces", title: "namespaces" };
  if (program === null) {
    const detail = "not tried: bubblewrap is not installed";
    return { ...base, state: "missing", detail, remedy: `Install it: ${bubblewrapRemedy}` };
  }
  const trial = [
    ...["--unshare-all", "--unshare-user", "--disable-userns", "--as-pid-1", "--cap-drop", "ALL", "--new-session"],
    ...["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "/bin/true"],
  ];
  try {
    const range = readUserIds();
    // The last that a sandbox would get.
    const trialUserId = range === null ? null : range.first + range.count - 1;
    const identity = trialUserId === null ? {} : { uid: trialUserId, gid: trialUserId };
    await execute(program, trial, { timeout: launchPatienceMs, env: {}, cwd: "/", ...identity });
    return { ...base, state: "ok", detail: "a process was started in namespaces of its own" };
  } catch (error) {
    return {
      ...base,
      state: "missing",
      detail: `a sandbox cannot be started: ${describe(error)}`,
      remedy: error instanceof SandboxUnavailableError ? error.remedy : namespaceRemedy,
    };
  }
}

/** @throws SandboxUnavailableError where root has none to give */
function readUserIds(): UserIdRange | null {
  return findUserIds(readFileSync("/proc/self/uid_map", "utf8"), process.getuid?.() ?? 0);
}

function checkUserIds(): Finding {
  const base = { id: "user-ids", title: "separate user ids" };
  try {
    if (readUserIds() !== null) return { ...base, state: "ok", detail: "every sandbox gets a user id of its own" };
  } catch (error) {
    const remedy = error instanceof SandboxUnavailableError ? error.remedy : "";
    return { ...base, state: "missing", detail: describe(error), remedy };
  }
  return {
    ...base,
    state: "degraded",
    detail: "not root: all sandboxes share the user id of the sandbox host",
    remedy: "Run the sandbox host as root; server and sandboxes stay unprivileged.",
  };
}

function checkCgroups(): Finding[] {
  const directory = mkdtempSync(join(tmpdir(), "exoloop-doctor-"));
  const host = discoverCgroups(directory.split("/").at(-1) ?? "exoloop-doctor");
  removeHostGroups(host);
  rmSync(directory, { recursive: true, force: true });
  const remedy = "Give the sandbox host a writable cgroup: run it as root, or with systemd's Delegate=yes.";
  const freezer = { id: "freezer", title: "suspending sandboxes" };
  const limits = { id: "limits", title: "memory and process limits" };
  const quota = { id: "cpu", title: "processor limit" };
  return [
    host.kind === "signal"
      ? { ...freezer, state: "degraded", detail: "no writable cgroup: sandboxes are stopped by SIGSTOP", remedy }
      : { ...freezer, state: "ok", detail: `${host.kind} at ${host.group ?? ""}` },
    hasResourceLimits(host)
      ? { ...limits, state: "ok", detail: host.unified.includes("memory") ? "cgroup v2" : "cgroup v1" }
      : { ...limits, state: "degraded", detail: "the host does not limit a sandbox's memory and processes", remedy },
    hasCpuLimit(host)
      ? { ...quota, state: "ok", detail: host.unified.includes("cpu") ? "cgroup v2" : "cgroup v1" }
      : { ...quota, state: "degraded", detail: "the host does not limit a sandbox's processor time", remedy },
  ];
}

function checkSeccomp(): Finding {
  const base = { id: "seccomp", title: "system call filter" };
  const status = readFileSync("/proc/self/status", "utf8");
  const known = process.arch === "x64" || process.arch === "arm64";
  if (/^Seccomp:/m.test(status) && known) return { ...base, state: "ok", detail: `available on ${process.arch}` };
  const detail = known ? "the kernel has no seccomp" : `there is no filter for ${process.arch}`;
  return {
    ...base,
    state: "missing",
    detail,
    remedy: "Use x86-64 or arm64 with seccomp, or another sandbox provider.",
  };
}

/** Asks the kernel by way of `confine`, which knows the call. */
function checkLandlock(confine: string | null): Finding {
  const base = { id: "landlock", title: "Landlock (used by --sandbox weak)" };
  const probe = confine === null ? null : spawnSync(confine, ["--probe", "landlock"], { timeout: launchPatienceMs });
  const abi = Number(probe?.stdout?.toString().trim() || "0");
  if (abi >= 1) return { ...base, state: "ok", detail: `ABI ${abi}` };
  return {
    ...base,
    state: "degraded",
    detail: "the kernel has no Landlock",
    remedy: "Boot with lsm=landlock,… if you need weak mode.",
  };
}

function checkSupervisor(): { readonly finding: Finding; readonly path: string | null } {
  const base = { id: "supervisor", title: "sandbox supervisor" };
  try {
    const { supervisor, confine, origin } = buildGuest();
    return { finding: { ...base, state: "ok", detail: `${origin}: ${supervisor}` }, path: confine };
  } catch (error) {
    const prebuilt = findPrebuilt(`${process.platform}-${process.arch}`, hashGuestSources());
    const remedy = "Install a C compiler: apt-get install gcc libc6-dev";
    return { finding: { ...base, state: "missing", detail: describe(error), remedy }, path: prebuilt };
  }
}

/** Without it one provider less. */
async function checkGvisor(): Promise<Finding> {
  const base = { id: "gvisor", title: "gVisor (the provider gvisor)" };
  const { program, detail } = await checkRunsc();
  if (program !== null) return { ...base, state: "ok", detail };
  return { ...base, state: "degraded", detail, remedy: "Run: node scripts/setup/gvisor.mjs" };
}

/**
 * @example
 * const findings = await diagnose();
 * const usable = findings.every((finding) => finding.state !== "missing");
 */
export async function diagnose(options: DiagnoseOptions = {}): Promise<Finding[]> {
  const platform = { id: "platform", title: "platform" };
  if (process.platform !== "linux") {
    const remedy = "Use another sandbox provider on this machine.";
    return [{ ...platform, state: "missing", detail: `${process.platform}: the local sandbox needs Linux`, remedy }];
  }
  const program = findProgram("bwrap", options.searchPath ?? process.env["PATH"] ?? "");
  const supervisor = checkSupervisor();
  const [bubblewrap, namespaces, gvisor] = await Promise.all([
    checkBubblewrap(program),
    checkNamespaces(program),
    checkGvisor(),
  ]);
  return [
    { ...platform, state: "ok", detail: `${process.platform} ${process.arch}` },
    bubblewrap,
    namespaces,
    checkUserIds(),
    ...checkCgroups(),
    checkSeccomp(),
    checkLandlock(supervisor.path),
    supervisor.finding,
    gvisor,
  ];
}
