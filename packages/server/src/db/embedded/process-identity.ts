/**
 * Who a process id belongs to. A process id is recycled, in containers after every restart; a process id together with
 * the instant its process started is not.
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";

/**
 * When the process started, as an opaque text that only equals itself; null when there is no such process.
 * Source: proc(5), field 22 of /proc/PID/stat, in clock ticks since boot, hence joined with the boot's identifier.
 */
export function processStart(pid: number): string | null {
  if (process.platform === "linux") {
    const stat = readProcessFile(pid, "stat");
    if (stat === null) return null;
    // The second field is the command's name in parentheses and may itself contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended: only its parent has not taken notice yet.
    if (fields[0] === "Z" || fields[0] === "X") return null;
    return `${bootIdentifier()}:${fields[19] ?? ""}`;
  }
  return readProcessStatus(pid, "lstart=");
}

/** The arguments a process was started with, joined by spaces; null when there is no such process or it is not ours. */
export function processCommand(pid: number): string | null {
  if (process.platform === "linux") return readProcessFile(pid, "cmdline")?.split("\0").join(" ").trim() ?? null;
  return readProcessStatus(pid, "command=");
}

/** Whether the file that a process executes was removed or replaced, by an upgrade say. False where that cannot be seen. */
export function hasLostProgram(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).endsWith(" (deleted)");
  } catch {
    return false;
  }
}

export interface ProcessIdentity {
  readonly pid: number;
  readonly start: string;
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, start: processStart(process.pid) ?? "" };
}

/** Whether the process that had this identity is still the one running under its id. */
export function isRunning(identity: ProcessIdentity): boolean {
  return processStart(identity.pid) === identity.start;
}

function readProcessFile(pid: number, name: "stat" | "cmdline"): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return null;
  }
}

let bootId: string | undefined;
function bootIdentifier(): string {
  bootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return bootId;
}

function readProcessStatus(pid: number, column: string): string | null {
  try {
    const output = execFileSync("ps", ["-o", column, "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return output.trim() === "" ? null : output.trim();
  } catch {
    return null;
  }
}
