/**
 * Kill, replace, verify: every process of a session's sandbox is killed and its directory deleted, at random instants;
 * the next command finds another one. Files of all commands but the killed one must be in it, or, when the kill came
 * before the snapshot that follows a command, of all but that one: this is the stated loss window.
 * @module
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type SandboxCgroups, processesIn } from "@exoloop/sandbox-host/cgroups";
import type { SandboxRoom } from "@exoloop/server/sandboxes/room";

export interface ReplacementFigures {
  readonly kills: number;
  /** Files outside of the loss window that were missing or different. */
  readonly lost: number;
  /** Commands within the window whose files were gone: told to the model, and counted here. */
  readonly inWindow: number;
  /** Replacements that the next result did not tell. */
  readonly untold: number;
  /** Milliseconds from the command after a kill to its result: create, restore and run. */
  readonly recoveries: readonly number[];
}

export interface ReplacementParts {
  readonly room: Pick<SandboxRoom, "commandsOf">;
  readonly owner: Parameters<SandboxRoom["commandsOf"]>[0];
  readonly sandboxesDirectory: string;
  /** The session's present sandbox. */
  readonly sandboxId: () => Promise<string | null>;
  readonly progress: (text: string) => void;
}

interface SlotState {
  readonly id: string | null;
  readonly cgroups: SandboxCgroups;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself, or with another of them.
  }
}

/** Behind everybody's back: every process is killed, and the directory goes as rm(1) deletes it. */
function destroy(sandboxesDirectory: string, id: string): void {
  for (const slot of readdirSync(sandboxesDirectory)) {
    const home = join(sandboxesDirectory, slot);
    const state = readState(join(home, "state.json"));
    if (state?.id !== id) continue;
    for (const half of ["init", "work"] as const) for (const pid of processesIn(state.cgroups, half)) kill(pid);
    spawnSync("rm", ["-rf", "--", home]);
    rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
    return;
  }
}

function readState(path: string): SlotState | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as SlotState;
  } catch {
    return null;
  }
}

/** Three files, then their checksums in a file of the round's own; a slow end leaves time to be killed in. */
const writeRound = (round: number): string =>
  [
    `mkdir -p r${round}`,
    `for i in 1 2 3; do head -c $(( (${round} * 7919 * i) % 65536 + 1 )) /dev/urandom > r${round}/$i; done`,
    `sha256sum r${round}/? > sums-${round}`,
    `sleep 0.02`,
  ].join(" && ");

const verify = "for s in sums-*; do sha256sum --check --quiet $s >/dev/null 2>&1 || echo BAD $s; done; ls -d sums-*";

/** When, after the command was sent: while it runs, while the snapshot is taken, or when all is quiet. Milliseconds. */
const delays = [2, 15, 30, 45, 60, 120, 400];

export async function measureReplacements(parts: ReplacementParts, kills: number): Promise<ReplacementFigures> {
  const { room, owner, sandboxesDirectory, sandboxId, progress } = parts;
  const run = (command: string) =>
    room.commandsOf(owner).run({
      commandId: crypto.randomUUID(),
      command,
      timeoutMs: 30_000,
      abortSignal: new AbortController().signal,
      reattach: false,
    });
  await run(writeRound(0));
  const expected = new Set([0]);
  const recoveries: number[] = [];
  const figures = { lost: 0, inWindow: 0, untold: 0 };
  for (let kill = 1; kill <= kills; kill += 1) {
    const round = kill;
    const doomed = await sandboxId();
    const running = run(writeRound(round));
    await new Promise((resolve) => setTimeout(resolve, delays[kill % delays.length]));
    if (doomed !== null) destroy(sandboxesDirectory, doomed);
    const during = await running;
    const startedAt = performance.now();
    const after = await run(verify);
    recoveries.push(performance.now() - startedAt);
    const told = [...during.notices, ...after.notices].some((notice) => notice.includes("<sandbox_replaced>"));
    if (!told) figures.untold += 1;
    const lines = after.output.split("\n");
    const present = new Set(lines.flatMap((line) => (line.startsWith("sums-") ? [Number(line.slice(5))] : [])));
    figures.lost += lines.filter((line) => line.startsWith("BAD") && line !== `BAD sums-${round}`).length;
    for (const earlier of expected) if (!present.has(earlier)) figures.lost += 3;
    if (present.has(round) && !lines.includes(`BAD sums-${round}`)) expected.add(round);
    else figures.inWindow += 1;
    if (kill % 20 === 0) progress(`${kill} kills: ${figures.lost} files lost, ${figures.inWindow} in the window`);
  }
  return { kills, ...figures, recoveries };
}
