/** Every sandbox of this daemon: created once, found again after a restart, given up when its supervisor is gone. @module */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { CreateSandboxRequest, SandboxStatus, Timed } from "@exoloop/sandbox/contract";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { sandboxIdPattern } from "@exoloop/sandbox/providers/local/host-messages";
import * as cgroupFiles from "./cgroups.ts";
import type { HostConfiguration } from "./configuration.ts";
import { type Launch, launchSandbox } from "./launch.ts";
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

const explanationPatienceMs = 2_000;

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

/** The launcher's own words, where it ends, explain more than the broken connection, which is noticed first. */
async function awaitLink(socketPath: string, launch: Launch): Promise<SupervisorLink> {
  const opening = openSupervisorLink(socketPath);
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

class Registry implements SandboxRegistry {
  readonly #configuration: HostConfiguration;
  readonly #entries = new Map<string, Entry>();
  readonly #creating = new Map<string, Promise<void>>();
  readonly #removing = new Map<string, Promise<void>>();

  constructor(configuration: HostConfiguration) {
    this.#configuration = configuration;
  }

  async adopt(): Promise<void> {
    const directories = readdirSync(this.#configuration.sandboxesDirectory);
    const groups = cgroupFiles.listGroupIds(this.#configuration.cgroups);
    const ids = new Set([...directories, ...groups].filter((id) => sandboxIdPattern.test(id)));
    await Promise.all([...ids].map((id) => this.#adoptOne(id)));
  }

  async create(request: CreateSandboxRequest): Promise<void> {
    const { id } = request;
    if (this.#entries.has(id)) return void this.#find(id);
    let running = this.#creating.get(id);
    if (running === undefined) {
      running = this.#start(request).finally(() => this.#creating.delete(id));
      this.#creating.set(id, running);
    }
    try {
      await running;
    } catch (error) {
      await this.#remove(id, stateFiles.readState(this.#directoriesOf(id).state));
      throw error;
    }
  }

  async list(): Promise<SandboxStatus[]> {
    const answers = await Promise.allSettled([...this.#entries.keys()].map((id) => this.status(id)));
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }

  async status(id: string): Promise<SandboxStatus> {
    const entry = this.#find(id);
    const answer = await entry.link.status().catch(() => null);
    if (answer === null) {
      void this.#remove(id, entry.state);
      throw new SandboxGoneError(id, "its supervisor ended");
    }
    const { cgroups } = entry.state;
    const suspended = cgroups.kind === "signal" ? answer.suspended : cgroupFiles.isFrozen(cgroups);
    return { id, state: suspended ? "suspended" : "awake", runningCommands: answer.running };
  }

  suspend(id: string): Promise<Timed> {
    return this.#setSuspended(id, true);
  }

  resume(id: string): Promise<Timed> {
    return this.#setSuspended(id, false);
  }

  async destroy(id: string): Promise<void> {
    await this.#creating.get(id)?.catch(() => {});
    const entry = this.#entries.get(id);
    await (entry === undefined ? this.#removing.get(id) : this.#remove(id, entry.state));
  }

  async destroyAll(): Promise<void> {
    await Promise.allSettled(this.#creating.values());
    await Promise.all([...this.#entries.values()].map((entry) => this.#remove(entry.state.id, entry.state)));
    await Promise.allSettled(this.#removing.values());
  }

  socketOf(id: string): string {
    return this.#find(id).directories.socket;
  }

  stateOf(id: string): stateFiles.SandboxState {
    return this.#find(id).state;
  }

  async verify(id: string): Promise<boolean> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    const link = await openSupervisorLink(entry.directories.socket).catch(() => null);
    link?.close();
    if (link === null) await this.#remove(id, entry.state);
    return link !== null;
  }

  #directoriesOf(id: string): stateFiles.SandboxDirectories {
    return stateFiles.directoriesOf(this.#configuration.sandboxesDirectory, id);
  }

  #remove(id: string, state: stateFiles.SandboxState | null): Promise<void> {
    const running = this.#removing.get(id);
    if (running !== undefined) return running;
    this.#entries.get(id)?.link.close();
    this.#entries.delete(id);
    const cgroups = state?.cgroups ?? cgroupFiles.cgroupsOf(this.#configuration.cgroups, id);
    const userId = this.#configuration.userIds === null ? null : (state?.userId ?? null);
    const work = removeSandbox(this.#directoriesOf(id), cgroups, userId).finally(() => this.#removing.delete(id));
    this.#removing.set(id, work);
    return work;
  }

  #enter(state: stateFiles.SandboxState, link: SupervisorLink): void {
    const entry: Entry = { state, directories: this.#directoriesOf(state.id), link, turn: Promise.resolve() };
    this.#entries.set(state.id, entry);
    link.onClose(() => {
      if (this.#entries.get(state.id) === entry) this.#lose(entry);
    });
  }

  /** In the background: whoever waits for the sandbox has been told, or asks again. */
  #lose(entry: Entry): void {
    this.#remove(entry.state.id, entry.state).catch((error: unknown) => {
      process.stderr.write(`cannot remove ${entry.state.id}: ${String(error)}\n`);
    });
  }

  #find(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new SandboxGoneError(id, "there is no such sandbox");
    if (!entry.link.closed && existsSync(entry.directories.state)) return entry;
    this.#lose(entry);
    throw new SandboxGoneError(id, entry.link.closed ? "its supervisor ended" : "its directory was removed");
  }

  async #start(request: CreateSandboxRequest): Promise<void> {
    const { id } = request;
    await this.#removing.get(id);
    const directories = this.#directoriesOf(id);
    const { userIds, launcher, cgroups: host } = this.#configuration;
    stateFiles.makeDirectories(directories);
    const userId = userIds === null ? null : leaseUserId(userIds, directories.root);
    stateFiles.makeOwnedDirectories(directories, userId);
    const cgroups = cgroupFiles.createCgroups(host, id, request.resources);
    const known = { id, userId: userId ?? process.getuid?.() ?? 0, cgroups };
    stateFiles.writeState(directories.state, { ...known, supervisorPid: null, launcherPid: 0 });
    const launch = await launchSandbox(this.#configuration, directories, cgroups, userId, request);
    const link = await awaitLink(directories.socket, launch);
    const launcherPid = launch.child.pid ?? 0;
    const supervisorPid = findSupervisor(cgroups, launcherPid, launcher !== null);
    const state = { ...known, supervisorPid, launcherPid };
    stateFiles.writeState(directories.state, state);
    this.#enter(state, link);
    await this.#setSuspended(id, true);
  }

  async #setSuspended(id: string, suspended: boolean): Promise<Timed> {
    const entry = this.#find(id);
    const { cgroups } = entry.state;
    const change = async (): Promise<Timed> => {
      const start = performance.now();
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
      this.#find(id);
      throw error;
    }
  }

  async #adoptOne(id: string): Promise<void> {
    const directories = this.#directoriesOf(id);
    const state = stateFiles.readState(directories.state);
    const link = state?.id === id ? await openSupervisorLink(directories.socket).catch(() => null) : null;
    if (state !== null && link !== null) this.#enter(state, link);
    else await this.#remove(id, state);
  }
}

export function createSandboxRegistry(configuration: HostConfiguration): SandboxRegistry {
  return new Registry(configuration);
}
