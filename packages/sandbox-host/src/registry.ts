/** Every sandbox of this daemon: created once, found again after a restart, given up when its supervisor is gone. @module */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { CreateSandboxRequest, SandboxStatus, Timed } from "@exoloop/sandbox/contract";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { sandboxIdPattern } from "@exoloop/sandbox/providers/local/host-messages";
import * as cgroupFiles from "./cgroups.ts";
import type { HostConfiguration } from "./configuration.ts";
import { launchSandbox } from "./launch.ts";
import { removeSandbox } from "./removal.ts";
import * as stateFiles from "./state.ts";
import { type SupervisorLink, openSupervisorLink } from "./supervisor-link.ts";
import { leaseUserId } from "./user-ids.ts";

export interface SandboxRegistry {
  /** Takes over what survived, removes what did not. */
  adopt(): Promise<void>;
  create(request: CreateSandboxRequest): Promise<void>;
  list(): Promise<SandboxStatus[]>;
  status(id: string): Promise<SandboxStatus>;
  suspend(id: string): Promise<Timed>;
  resume(id: string): Promise<Timed>;
  destroy(id: string): Promise<void>;
  destroyAll(): Promise<void>;
  /** Path of the supervisor's socket. @throws SandboxGoneError */
  socketOf(id: string): string;
  /** @throws SandboxGoneError */
  stateOf(id: string): stateFiles.SandboxState;
  /** Looks again whether it lives; what is found dead is removed. @returns whether it lives. */
  verify(id: string): Promise<boolean>;
}

interface Entry {
  readonly state: stateFiles.SandboxState;
  readonly directories: stateFiles.SandboxDirectories;
  readonly link: SupervisorLink;
  /** Suspend and resume follow one another. */
  turn: Promise<unknown>;
}

/** Host process id of the supervisor, which its cgroup knows best. */
function findSupervisor(cgroups: cgroupFiles.SandboxCgroups, launcherPid: number, launched: boolean): number | null {
  const [member] = cgroups.parent === null ? [] : cgroupFiles.listProcesses(join(cgroups.parent, "init"));
  if (member !== undefined) return member;
  if (!launched) return launcherPid;
  try {
    const children = readFileSync(`/proc/${launcherPid}/task/${launcherPid}/children`, "utf8");
    return Number(children.split(" ")[0]) || null;
  } catch {
    return null;
  }
}

export function createSandboxRegistry(configuration: HostConfiguration): SandboxRegistry {
  const entries = new Map<string, Entry>();
  const creating = new Map<string, Promise<void>>();
  const removing = new Map<string, Promise<void>>();
  const directoriesOf = (id: string) => stateFiles.directoriesOf(configuration.sandboxesDirectory, id);

  function remove(id: string, state: stateFiles.SandboxState | null): Promise<void> {
    const running = removing.get(id);
    if (running !== undefined) return running;
    entries.get(id)?.link.close();
    entries.delete(id);
    const cgroups = state?.cgroups ?? cgroupFiles.cgroupsOf(configuration.cgroups, id);
    const userId = configuration.ownUserIds ? (state?.userId ?? null) : null;
    const work = removeSandbox(directoriesOf(id), cgroups, userId).finally(() => removing.delete(id));
    removing.set(id, work);
    return work;
  }

  function enter(state: stateFiles.SandboxState, link: SupervisorLink): void {
    const entry: Entry = { state, directories: directoriesOf(state.id), link, turn: Promise.resolve() };
    entries.set(state.id, entry);
    link.onClose(() => {
      if (entries.get(state.id) === entry) void remove(state.id, state);
    });
  }

  function find(id: string): Entry {
    const entry = entries.get(id);
    if (entry === undefined) throw new SandboxGoneError(id, "there is no such sandbox");
    if (!entry.link.closed && existsSync(entry.directories.state)) return entry;
    void remove(id, entry.state);
    throw new SandboxGoneError(id, entry.link.closed ? "its supervisor ended" : "its directory was removed");
  }

  async function start(request: CreateSandboxRequest): Promise<void> {
    const { id } = request;
    await removing.get(id);
    const directories = directoriesOf(id);
    stateFiles.makeDirectories(directories);
    const userId = configuration.ownUserIds ? leaseUserId(directories.root) : null;
    stateFiles.makeOwnedDirectories(directories, userId);
    const cgroups = cgroupFiles.createCgroups(configuration.cgroups, id, request.resources);
    const launch = await launchSandbox(configuration, directories, cgroups, userId, request);
    const opening = openSupervisorLink(directories.socket);
    opening.catch(() => {});
    const link = await Promise.race([opening, launch.failure.then((error) => Promise.reject(error))]);
    const launcherPid = launch.child.pid ?? 0;
    const supervisorPid = findSupervisor(cgroups, launcherPid, configuration.launcher !== null);
    const state = { id, userId: userId ?? process.getuid?.() ?? 0, supervisorPid, launcherPid, cgroups };
    stateFiles.writeState(directories.state, state);
    enter(state, link);
    await setSuspended(id, true);
  }

  async function create(request: CreateSandboxRequest): Promise<void> {
    const { id } = request;
    if (entries.has(id)) return void find(id);
    let running = creating.get(id);
    if (running === undefined) {
      running = start(request).finally(() => creating.delete(id));
      creating.set(id, running);
    }
    try {
      await running;
    } catch (error) {
      await abandon(id);
      throw error;
    }
  }

  /** After a failed start. A lease that no state file names is free again as soon as its directory is gone. */
  async function abandon(id: string): Promise<void> {
    const directories = directoriesOf(id);
    const state = stateFiles.readState(directories.state);
    await remove(id, state);
  }

  async function setSuspended(id: string, suspended: boolean): Promise<Timed> {
    const entry = find(id);
    const change = async (): Promise<Timed> => {
      const start = performance.now();
      const { cgroups } = entry.state;
      if (cgroups.kind === "signal") await (suspended ? entry.link.suspend() : entry.link.resume());
      else if (suspended) await cgroupFiles.freeze(cgroups);
      else cgroupFiles.thaw(cgroups);
      return { milliseconds: performance.now() - start };
    };
    const turn = entry.turn.then(change);
    entry.turn = turn.catch(() => {});
    try {
      return await turn;
    } catch (error) {
      find(id);
      throw error;
    }
  }

  async function status(id: string): Promise<SandboxStatus> {
    const entry = find(id);
    const answer = await entry.link.status().catch(() => null);
    if (answer === null) {
      void remove(id, entry.state);
      throw new SandboxGoneError(id, "its supervisor ended");
    }
    const { cgroups } = entry.state;
    const suspended = cgroups.kind === "signal" ? answer.suspended : cgroupFiles.isFrozen(cgroups);
    return { id, state: suspended ? "suspended" : "awake", runningCommands: answer.running };
  }

  async function adoptOne(id: string): Promise<void> {
    const directories = directoriesOf(id);
    const state = stateFiles.readState(directories.state);
    const link = state?.id === id ? await openSupervisorLink(directories.socket).catch(() => null) : null;
    if (state !== null && link !== null) enter(state, link);
    else await remove(id, state);
  }

  return {
    async adopt() {
      const directories = readdirSync(configuration.sandboxesDirectory);
      const groups = cgroupFiles.listGroupIds(configuration.cgroups);
      const ids = new Set([...directories, ...groups].filter((id) => sandboxIdPattern.test(id)));
      await Promise.all([...ids].map(adoptOne));
    },
    create,
    async list() {
      const answers = await Promise.allSettled([...entries.keys()].map(status));
      return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    },
    status,
    suspend: (id) => setSuspended(id, true),
    resume: (id) => setSuspended(id, false),
    async destroy(id) {
      await creating.get(id)?.catch(() => {});
      const entry = entries.get(id);
      if (entry !== undefined) await remove(id, entry.state);
      else await removing.get(id);
    },
    async destroyAll() {
      await Promise.allSettled(creating.values());
      await Promise.all([...entries.values()].map((entry) => remove(entry.state.id, entry.state)));
      await Promise.allSettled(removing.values());
    },
    socketOf: (id) => find(id).directories.socket,
    stateOf: (id) => find(id).state,
    async verify(id) {
      const entry = entries.get(id);
      if (entry === undefined) return false;
      const link = await openSupervisorLink(entry.directories.socket).catch(() => null);
      link?.close();
      if (link === null) await remove(id, entry.state);
      return link !== null;
    },
  };
}
