/**
 * Holds every workspace to its bytes and files, where no quota can: looks at the file system while a sandbox is awake,
 * and counts those that may have passed a limit, since it has become fuller by what they had left when they were last
 * counted. What exceeds is killed; the supervisor and the files stay.
 * @module
 */
import { spawn } from "node:child_process";
import { type StatsFs, statfsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { text } from "node:stream/consumers";
import * as cgroupFiles from "./cgroups.ts";
import type { SandboxRegistry } from "./registry.ts";
import type { Slot } from "./slot.ts";
import { ownedDirectories } from "./state.ts";

const lookEveryMs = 250;
const stepBytes = 8 << 20;
const stepFiles = 1_000;
const blockBytes = 512;
/** A walk that takes longer counts as far as it came; it may have slowed down the disk enough. */
const walkPatienceSeconds = 60;
/** Of one sandbox; their names are arguments of one program. */
const mostProcesses = 4_000;

interface Usage {
  readonly bytes: number;
  readonly files: number;
}

function toUsage({ bavail, bsize, ffree }: StatsFs): Usage {
  return { bytes: bavail * bsize, files: ffree };
}

/** A walk, and the sums of its lines of device, blocks, links and inode: so the daemon reads one line of them all. */
const pipeline = `bytes=$1 files=$2 device=$3; shift 3
timeout -s KILL ${walkPatienceSeconds} "$@" -printf "%D %b %n %i\\n" | awk -v b="$bytes" -v f="$files" -v device="$device" '
device == "" { device = $1 } $1 != device || ($3 != 1 && seen[$4]++) { next }
{ b -= $2 * ${blockBytes}; if (--f < 0 || b < 0) exit } END { printf "%.0f %.0f %s", b, f, device }'`;

/**
 * What is left of a slot's limits, below zero where one is passed: counted by find(1) until then. Links are not followed,
 * nor other file systems entered. It runs as the sandbox's user with nothing but the right to read every directory, so
 * that a workload cannot hide one. Then what has no name any more and is open or mapped, which is only looked at.
 */
async function measure(slot: Slot, ownUser: boolean): Promise<Usage> {
  const user = String(slot.state.userId);
  const right = ["--clear-groups", "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"];
  const identity = ownUser ? ["setpriv", "--reuid", user, "--regid", user, ...right, "--"] : [];
  const owned = ownedDirectories(slot.directories);
  const processes = cgroupFiles.processesIn(slot.state.cgroups, "work").slice(0, mostProcesses);
  const open = ["self", ...processes].flatMap((pid) => [`/proc/${pid}/fd`, `/proc/${pid}/map_files`]);
  const { diskBytes, files } = slot.state.resources;
  let device = "";
  let left: Usage = { bytes: diskBytes, files: files + owned.length };
  for (const walk of [
    [...identity, "find", "-P", ...owned, "-xdev"],
    ["find", "-L", ...open, "-maxdepth", "1", "-type", "f", "-links", "0"],
  ]) {
    const words = ["-n", "19", "sh", "-c", pipeline, "sh", String(left.bytes), String(left.files), device, ...walk];
    const child = spawn("nice", words, { cwd: "/", stdio: ["ignore", "pipe", "ignore"] });
    child.on("error", () => {});
    // Without an answer nothing is left: it is counted again soon.
    const [bytes = 0, names = 0, on = ""] = (await text(child.stdout)).split(" ");
    device = on;
    left = { bytes: Number(bytes), files: Number(names) };
  }
  return left;
}

interface Suspect {
  /** Of its limits, when it was last counted. */
  readonly left: Usage;
  /** What the file system had been filled by until then. */
  readonly filled: Usage;
}

/** What has never been counted may be full. */
const nothing: Usage = { bytes: 0, files: 0 };

export class DiskWatch {
  readonly #directory: string;
  readonly #ownUser: boolean;
  readonly #registry: SandboxRegistry;
  #timer: NodeJS.Timeout | null = null;
  /** Free at the last look. */
  #free: Usage = nothing;
  /** All that it became less by from one look to the next: who deletes hides nobody who writes. */
  #filled: Usage = nothing;
  /** Slots that were awake at any time since they were last counted. */
  readonly #suspects = new Map<Slot, Suspect>();
  #busy = false;

  constructor(directory: string, ownUser: boolean, registry: SandboxRegistry) {
    this.#directory = directory;
    this.#ownUser = ownUser;
    this.#registry = registry;
  }

  /** Called whenever a sandbox wakes up, before anything runs in it. */
  start(): void {
    if (this.#timer === null) this.#free = toUsage(statfsSync(this.#directory));
    this.#timer ??= setInterval(() => void this.#look(), lookEveryMs);
    for (const slot of this.#registry.awake())
      if (!this.#suspects.has(slot)) this.#suspects.set(slot, { left: nothing, filled: this.#filled });
  }

  async #look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const before = this.#free;
      const { bytes, files } = (this.#free = toUsage(await statfs(this.#directory)));
      this.#filled = {
        bytes: this.#filled.bytes + Math.max(0, before.bytes - bytes),
        files: this.#filled.files + Math.max(0, before.files - files),
      };
      for (const [slot, { left, filled }] of this.#suspects) {
        const since = { bytes: this.#filled.bytes - filled.bytes, files: this.#filled.files - filled.files };
        if (since.bytes > Math.max(left.bytes, stepBytes) || since.files > Math.max(left.files, stepFiles))
          await this.#judge(slot);
      }
      if (this.#registry.awake().length > 0) return;
      clearInterval(this.#timer ?? undefined);
      this.#timer = null;
      this.#suspects.clear();
    } catch (error) {
      process.stderr.write(`cannot watch the disk: ${String(error)}\n`);
    } finally {
      this.#busy = false;
    }
  }

  async #judge(slot: Slot): Promise<void> {
    const filled = this.#filled;
    const left = await measure(slot, this.#ownUser);
    if (left.bytes < 0) await this.#registry.punish(slot, "disk");
    else if (left.files < 0) await this.#registry.punish(slot, "files");
    if (this.#registry.awake().includes(slot)) this.#suspects.set(slot, { left, filled });
    else this.#suspects.delete(slot);
  }
}
