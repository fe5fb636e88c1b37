/**
 * Holds every workspace to its bytes and files, where no quota can: looks at the file system while a sandbox is awake,
 * and counts when it has become noticeably fuller. What exceeds is killed; the supervisor and the files stay.
 * @module
 */
import { spawn } from "node:child_process";
import { type StatsFs, statfsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { createInterface } from "node:readline";
import * as cgroupFiles from "./cgroups.ts";
import type { SandboxRegistry } from "./registry.ts";
import type { Slot } from "./slot.ts";
import { ownedDirectories } from "./state.ts";

const lookEveryMs = 250;
const stepBytes = 8 << 20;
const stepFiles = 1_000;
const blockBytes = 512;
/** A walk that takes longer counts as far as it came; it may have slowed down the disk enough. */
const walkPatienceMs = 60_000;
/** Of one sandbox; their names are arguments of one program. */
const mostProcesses = 4_000;

export interface Usage {
  readonly bytes: number;
  readonly files: number;
}

function toUsage({ bavail, bsize, ffree }: StatsFs): Usage {
  return { bytes: bavail * bsize, files: ffree };
}

/**
 * Counts until a limit is passed, by find(1): links are not followed, nor other file systems entered. It runs as the
 * sandbox's user with nothing but the right to read every directory, so that a workload cannot hide one. Then what has
 * no name any more and is open or mapped, which is only looked at.
 */
export async function measure(slot: Slot, ownUser: boolean, limits: Usage): Promise<Usage> {
  const user = String(slot.state.userId);
  const right = ["--clear-groups", "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"];
  const identity = ownUser ? ["setpriv", "--reuid", user, "--regid", user, ...right, "--"] : [];
  const owned = ownedDirectories(slot.directories);
  const processes = cgroupFiles.processesIn(slot.state.cgroups, "work").slice(0, mostProcesses);
  const open = ["self", ...processes].flatMap((pid) => [`/proc/${pid}/fd`, `/proc/${pid}/map_files`]);
  const seen = new Set<string>();
  let [bytes, files, device] = [0, -owned.length, ""];
  for (const walk of [
    [...identity, "find", "-P", ...owned, "-xdev"],
    ["find", "-L", ...open, "-maxdepth", "1", "-type", "f", "-links", "0"],
  ]) {
    const program = ["-n", "19", ...walk, "-printf", "%D %b %n %i\\n"];
    const child = spawn("nice", program, { cwd: "/", stdio: ["ignore", "pipe", "ignore"] });
    child.on("error", () => {});
    const timer = setTimeout(() => child.kill("SIGKILL"), walkPatienceMs);
    for await (const line of createInterface({ input: child.stdout })) {
      const [on = "", blocks = "", links = "", inode = ""] = line.split(" ");
      device ||= on;
      if (on !== device || seen.has(inode)) continue;
      if (links !== "1") seen.add(inode);
      bytes += Number(blocks) * blockBytes;
      files++;
      if (bytes > limits.bytes || files > limits.files) break;
    }
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
  return { bytes, files };
}

export class DiskWatch {
  readonly #directory: string;
  readonly #ownUser: boolean;
  readonly #registry: SandboxRegistry;
  #timer: NodeJS.Timeout | null = null;
  /** Free when it was last counted, or at any time since. */
  #free: Usage;
  /** Slots that were awake at any time since it was last counted. */
  readonly #suspects = new Set<Slot>();
  #busy = false;

  constructor(directory: string, ownUser: boolean, registry: SandboxRegistry) {
    this.#directory = directory;
    this.#ownUser = ownUser;
    this.#registry = registry;
    this.#free = toUsage(statfsSync(directory));
  }

  /** Called whenever a sandbox wakes up. */
  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), lookEveryMs);
    for (const slot of this.#registry.awake()) this.#suspects.add(slot);
  }

  async #look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const awake = this.#registry.awake();
      for (const slot of awake) this.#suspects.add(slot);
      const free = toUsage(await statfs(this.#directory));
      const before = this.#free;
      this.#free = { bytes: Math.max(before.bytes, free.bytes), files: Math.max(before.files, free.files) };
      const fuller = before.bytes - free.bytes > stepBytes || before.files - free.files > stepFiles;
      if (fuller) {
        await this.#judge([...this.#suspects]);
        this.#free = free;
      }
      if (awake.length === 0) this.#stop();
    } catch (error) {
      process.stderr.write(`cannot watch the disk: ${String(error)}\n`);
    } finally {
      this.#busy = false;
    }
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#suspects.clear();
  }

  async #judge(slots: readonly Slot[]): Promise<void> {
    for (const slot of slots) {
      const { diskBytes, files } = slot.state.resources;
      const usage = await measure(slot, this.#ownUser, { bytes: diskBytes, files });
      if (usage.bytes > diskBytes) await this.#registry.punish(slot, "disk");
      else if (usage.files > files) await this.#registry.punish(slot, "files");
      if (!slot.awake) this.#suspects.delete(slot);
    }
  }
}
