/**
 * Slots with a supervisor in them: started, found again after a restart, removed. One in which a process only waits for
 * what it becomes is always ready, so that a start does not wait for directories, groups, a user id and a fork.
 * @module
 */
import { chmodSync, chownSync, existsSync, readdirSync, renameSync, rmdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { attempt, listGroupNames, prepareEntering } from "./cgroup-host.ts";
import * as cgroupFiles from "./cgroups.ts";
import type { HostConfiguration } from "./configuration.ts";
import { type Place, type Starter, prepareStarter } from "./launch/launch.ts";
import type { Launcher } from "./launch/launcher.ts";
import { removeSlot, slowRemovals } from "./removal.ts";
import type { Slot } from "./slot.ts";
import { attend, fallAsleep } from "./sleep.ts";
import * as stateFiles from "./state.ts";
import { type SupervisorLink, openSupervisorLink } from "./supervisor-link.ts";
import { leaseUserId, listLeases, userOf } from "./user-ids.ts";

/** Whose it will be. */
export type SlotOwner = Pick<stateFiles.SandboxState, "id" | "owner" | "createdAt">;

interface Spare extends Place {
  readonly launcher: Launcher;
  readonly starter: Promise<Starter>;
}

const explanationPatienceMs = 2_000;
/** Shorter than who ends a daemon waits for it. */
const endPatienceMs = 10_000;
const socketPollMs = 5;
const socketRounds = 6_000;
/** After a start for somebody, before the next place is prepared: the sandbox's first command goes first. */
const sparePauseMs = 15;

/** The launcher's own words, where it ends, explain more than the broken connection, which is noticed first. */
async function awaitLink(opening: Promise<SupervisorLink>, launch: Starter): Promise<SupervisorLink> {
  opening.catch(() => {});
  const failing = launch.failure.then((error) => Promise.reject(error));
  failing.catch(() => {});
  try {
    return await Promise.race([opening, failing]);
  } catch (error) {
    const silence = new Promise<never>((_, reject) => setTimeout(reject, explanationPatienceMs, error));
    return await Promise.race([failing, silence]);
  }
}

/** A supervisor that makes its socket itself is not there at once. */
async function openWhenThere(socketPath: string): Promise<SupervisorLink> {
  for (let round = 0; ; round++) {
    try {
      return await openSupervisorLink(socketPath);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null;
      if ((code !== "ENOENT" && code !== "ECONNREFUSED") || round >= socketRounds) throw error;
      await pause(socketPollMs);
    }
  }
}

function stopsBySignals(launcher: Launcher, cgroups: cgroupFiles.SandboxCgroups): boolean {
  return launcher.suspends === "signals" || cgroups.kind === "signal";
}

export class SlotKeeper {
  readonly #configuration: HostConfiguration;
  readonly #launchers: ReadonlyMap<string, Launcher>;
  readonly #removing = new Map<string, Promise<void>>();
  #spare: Spare | null = null;
  #spareTimer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(configuration: HostConfiguration, launchers: ReadonlyMap<string, Launcher>) {
    this.#configuration = configuration;
    this.#launchers = launchers;
  }

  launcherOf(runtime: string): Launcher {
    const launcher = this.#launchers.get(runtime);
    if (launcher === undefined) throw new Error(`the runtime ${runtime} is not available here`);
    return launcher;
  }

  /** Starts a supervisor, suspended. On failure nothing is left. */
  async start(make: stateFiles.SandboxMake, owner: SlotOwner): Promise<Slot> {
    const { cgroups: host, ownerUserId, mode } = this.#configuration;
    const launcher = this.launcherOf(make.runtime);
    const entered = prepareEntering(host);
    const place = await this.#takePlace(launcher);
    const { directories, userId } = place;
    const { slot } = directories;
    const cgroups = cgroupFiles.cgroupsOf(host, slot);
    const bySignals = stopsBySignals(launcher, cgroups);
    try {
      const launch = await place.starter;
      const { descriptors } = launch;
      launch.become(launcher.prepare({ configuration: this.#configuration, directories, userId, make, descriptors }));
      // While it starts. No command comes before this has returned.
      cgroupFiles.limitCgroups(host, slot, launcher.limits(make.resources));
      if (!bySignals) await cgroupFiles.freeze(cgroups);
      const link = await awaitLink(this.#openLink(directories, launcher.ownSocket(directories)), launch);
      // Where it has namespaces, the launcher waits outside of them for its end.
      const inside = cgroupFiles.processesIn(cgroups, "init").find((pid) => pid !== launch.pid) ?? null;
      const state: stateFiles.SandboxState = {
        ...make,
        ...owner,
        slot,
        userId: userId ?? process.getuid?.() ?? 0,
        supervisorPid: mode === "weak" ? launch.pid : inside,
        launcherPid: launch.pid,
        cgroups,
        limitExceeded: null,
      };
      this.#assertApart(state);
      // Its socket is there: until now nobody but us could put something else in its place.
      if (ownerUserId !== null) chownSync(directories.run, ownerUserId, -1);
      stateFiles.writeState(directories.state, state);
      const started: Slot = { state, directories, link, bySignals, awake: bySignals, turn: Promise.resolve() };
      if (bySignals) await fallAsleep(started);
      started.awake = false;
      return started;
    } catch (error) {
      await this.#removePlace({ directories, userId, cgroups });
      throw error;
    } finally {
      entered();
      // Nobody waits for one of the pool's, and whoever takes it should not meet this.
      this.#prepareSpare(launcher, owner.id === null ? 0 : sparePauseMs);
    }
  }

  /** What runs beside the workload, which can have taken it over while both ran, would go on while the workload sleeps. */
  endHelpers({ state: { cgroups, supervisorPid, launcherPid } }: Slot): void {
    const { launch, transfer } = this.#configuration.tools;
    const closed = [launch, transfer].map((path) => statSync(path).ino);
    const kept: readonly (number | null)[] = [supervisorPid, launcherPid];
    for (const pid of cgroupFiles.processesIn(cgroups, "init").filter((one) => !kept.includes(one)))
      attempt(() => closed.includes(statSync(`/proc/${pid}/exe`).ino) || process.kill(pid, "SIGKILL"));
  }

  remove({ directories, link, state }: Slot): Promise<void> {
    link.close();
    const userId = this.#configuration.userIds === null ? null : state.userId;
    return this.#removePlace({ directories, userId, cgroups: state.cgroups });
  }

  /** What survived and belongs to somebody; everything else is removed. */
  async adopt(): Promise<Slot[]> {
    const { sandboxesDirectory, cgroups, userIds } = this.#configuration;
    const leased = userIds === null ? new Map<string, number>() : listLeases(sandboxesDirectory);
    const leftover = [...leased.keys()].map((directory) => directory.slice(sandboxesDirectory.length + 1));
    const found = [...readdirSync(sandboxesDirectory), ...listGroupNames(cgroups), ...leftover];
    const slots = [...new Set(found)].filter((name) => stateFiles.slotPattern.test(name));
    const adopted = await Promise.all(slots.map((slot) => this.#adoptOne(slot, leased)));
    return adopted.filter((slot) => slot !== null);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#spareTimer !== null) clearTimeout(this.#spareTimer);
    const spare = this.#spare;
    this.#spare = null;
    await spare?.starter.catch(() => {});
    if (spare !== null) await this.#removePlace(spare);
    await Promise.allSettled(this.#removing.values());
    await Promise.race([Promise.allSettled(slowRemovals), pause(endPatienceMs, undefined, { ref: false })]);
  }

  /** Its own socket listens on under another name, where only server and daemon can reach it. */
  async #openLink({ socket }: stateFiles.SlotDirectories, own: string | null): Promise<SupervisorLink> {
    if (own === null) return openSupervisorLink(socket);
    const link = await openWhenThere(own);
    const { ownerUserId } = this.#configuration;
    renameSync(own, `${socket}.new`);
    // What is inside can write there, where nobody counts.
    rmdirSync(dirname(own));
    chmodSync(`${socket}.new`, 0o600);
    if (ownerUserId !== null) chownSync(`${socket}.new`, ownerUserId, -1);
    renameSync(`${socket}.new`, socket);
    return link;
  }

  /** Root, daemon, server and every sandbox: pairwise different users. Leases keep the sandboxes apart. */
  #assertApart({ userId, supervisorPid }: stateFiles.SandboxState): void {
    const { userIds, ownerUserId } = this.#configuration;
    if (userIds === null) return;
    const others = [0, process.getuid?.() ?? 0, ownerUserId];
    if (!others.includes(userId) && (supervisorPid === null || userOf(supervisorPid) === userId)) return;
    throw new SandboxUnavailableError(
      `a sandbox on this machine would lack: a user id of its own (${userId})`,
      "Run the sandbox host as root on the machine itself, and the server as a user outside of its range.",
    );
  }

  #prepare(launcher: Launcher): Spare {
    const { sandboxesDirectory, userIds, cgroups: host } = this.#configuration;
    const directories = stateFiles.directoriesOf(sandboxesDirectory, stateFiles.newSlotName());
    const cgroups = cgroupFiles.cgroupsOf(host, directories.slot);
    let userId: number | null = null;
    try {
      stateFiles.makeDirectories(directories);
      if (userIds !== null) userId = leaseUserId(userIds, directories.root);
      stateFiles.makeOwnedDirectories(directories, userId);
      cgroupFiles.createCgroups(host, cgroups);
      const starter = prepareStarter(this.#configuration, launcher, { directories, userId, cgroups });
      starter.catch(() => {});
      return { directories, userId, cgroups, launcher, starter };
    } catch (error) {
      void this.#removePlace({ directories, userId, cgroups }).catch(() => {});
      throw error;
    }
  }

  async #takePlace(launcher: Launcher): Promise<Spare> {
    const spare = this.#spare;
    if (spare?.launcher !== launcher) return this.#prepare(launcher);
    this.#spare = null;
    const starter = await spare.starter.catch(() => null);
    if (starter?.isAlive() === true && existsSync(spare.directories.workspace)) return spare;
    void this.#removePlace(spare).catch(() => {});
    return this.#prepare(launcher);
  }

  #prepareSpare(launcher: Launcher, pauseMs: number): void {
    if (this.#closed || this.#spare !== null || this.#spareTimer !== null) return;
    this.#spareTimer = setTimeout(() => {
      this.#spareTimer = null;
      try {
        if (!this.#closed) this.#spare ??= this.#prepare(launcher);
      } catch (error) {
        // The next start tries again, and tells whoever waits for it.
        process.stderr.write(`cannot prepare a slot: ${String(error)}\n`);
      }
    }, pauseMs);
  }

  #removePlace({ directories, userId, cgroups }: Place): Promise<void> {
    const { slot } = directories;
    const running = this.#removing.get(slot);
    if (running !== undefined) return running;
    const work = removeSlot(directories, cgroups, userId).finally(() => this.#removing.delete(slot));
    this.#removing.set(slot, work);
    return work;
  }

  async #adoptOne(slot: string, leased: ReadonlyMap<string, number>): Promise<Slot | null> {
    const { sandboxesDirectory, userIds, cgroups: host } = this.#configuration;
    const directories = stateFiles.directoriesOf(sandboxesDirectory, slot);
    const state = stateFiles.readState(directories.state);
    const usable = state !== null && state.slot === slot && state.id !== null && this.#launchers.has(state.runtime);
    const bySignals = usable && stopsBySignals(this.launcherOf(state.runtime), state.cgroups);
    // Its supervisor may sleep with it.
    if (bySignals && state.cgroups.parent !== null) attempt(() => cgroupFiles.thaw(state.cgroups));
    const link = usable ? await openSupervisorLink(directories.socket).catch(() => null) : null;
    if (usable && link !== null) {
      const awake = bySignals ? !(await link.isSuspended().catch(() => true)) : !cgroupFiles.isFrozen(state.cgroups);
      const slot: Slot = { state, directories, link, bySignals, awake, turn: Promise.resolve() };
      attend(slot);
      return slot;
    }
    const userId = userIds === null ? null : (leased.get(directories.root) ?? state?.userId ?? null);
    const cgroups = state?.cgroups ?? cgroupFiles.cgroupsOf(host, slot);
    await this.#removePlace({ directories, userId, cgroups });
    return null;
  }
}
