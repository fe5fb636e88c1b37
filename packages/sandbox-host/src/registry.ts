/** Which sandbox has which slot, and what is done with one: created once, found again, given up when it is gone. @module */
import { existsSync } from "node:fs";
import type { CreateSandboxRequest, SandboxSummary, Timed } from "@exoloop/sandbox/contract";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { HostMethods, SandboxLocation } from "@exoloop/sandbox/providers/local/host-messages";
import { attempt } from "./cgroup-host.ts";
import * as cgroupFiles from "./cgroups.ts";
import { WarmPool } from "./pool.ts";
import { attend, fallAsleep, isAsleep, servedMs, sleepsWhole, wakeUp } from "./sleep.ts";
import type { Slot } from "./slot.ts";
import type { SlotKeeper } from "./slots.ts";
import { type SandboxMake, type SandboxState, writeState } from "./state.ts";

type CreateRequest = CreateSandboxRequest & Pick<SandboxMake, "runtime">;
type HostStatus = HostMethods["status"]["result"];

export class SandboxRegistry {
  readonly #keeper: SlotKeeper;
  readonly #pool: WarmPool;
  readonly #slots = new Map<string, Slot>();
  readonly #creating = new Map<string, Promise<Slot>>();
  readonly #removing = new Map<string, Promise<void>>();
  /** Told whenever a sandbox is resumed. */
  onAwake: () => void = () => {};

  constructor(keeper: SlotKeeper) {
    this.#keeper = keeper;
    this.#pool = new WarmPool(keeper);
  }

  /** Takes over what survived, removes what did not. */
  async adopt(): Promise<void> {
    for (const slot of await this.#keeper.adopt()) this.#enter(slot);
  }

  async create(request: CreateRequest): Promise<SandboxLocation> {
    const { id } = request;
    const known = this.#slots.get(id);
    if (known !== undefined) return this.locate(id);
    let running = this.#creating.get(id);
    if (running === undefined) {
      running = this.#pool.whileCreating(() => this.#start(request)).finally(() => this.#creating.delete(id));
      this.#creating.set(id, running);
    }
    return this.#location(await running);
  }

  /** @throws SandboxUnavailableError when the runtime is not there. */
  keepWarm({ count, ...make }: SandboxMake & { readonly count: number }): void {
    this.#keeper.launcherOf(make.runtime);
    this.#pool.request(make, count);
  }

  async list(runtime: string): Promise<SandboxSummary[]> {
    const ids = [...this.#slots].flatMap(([id, slot]) => (slot.state.runtime === runtime ? [id] : []));
    const answers = await Promise.allSettled(ids.map((id) => this.#statusOf(id)));
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }

  async status(id: string): Promise<HostStatus> {
    const status = await this.#statusOf(id);
    const slot = this.#find(id);
    return { ...status, ...this.#location(slot), runtime: slot.state.runtime };
  }

  locate(id: string): SandboxLocation {
    return this.#location(this.#find(id));
  }

  suspend(id: string): Promise<Timed> {
    return this.#setSuspended(id, true);
  }

  resume(id: string): Promise<Timed> {
    return this.#setSuspended(id, false);
  }

  async attend(id: string): Promise<void> {
    const slot = this.#findUntouched(id);
    await this.#inTurn(slot, async () => attend(slot));
  }

  async destroy(id: string): Promise<void> {
    await this.#creating.get(id)?.catch(() => {});
    const slot = this.#slots.get(id);
    await (slot === undefined ? this.#removing.get(id) : this.#remove(id, slot));
  }

  /** Ends the pool; the sandboxes stay unless `destroy` says otherwise. */
  async close(destroy: boolean): Promise<void> {
    await Promise.allSettled(this.#creating.values());
    await this.#pool.close();
    if (destroy) await Promise.allSettled([...this.#slots].map(([id, slot]) => this.#remove(id, slot)));
    await Promise.allSettled(this.#removing.values());
    await this.#keeper.close();
  }

  /** @throws SandboxGoneError */
  stateOf(id: string): SandboxState {
    return this.#find(id).state;
  }

  awake(): Slot[] {
    return [...this.#slots.values()].filter((slot) => slot.awake);
  }

  /** Kills the workload, not the supervisor, and writes down why. */
  async punish(slot: Slot, limitExceeded: "disk" | "files"): Promise<void> {
    const { id } = slot.state;
    if (id === null || this.#slots.get(id) !== slot) return;
    // A full disk takes no note, and it is full because of this one.
    attempt(() => this.#note(slot, { limitExceeded }));
    const killed = await this.#inTurn(slot, () => cgroupFiles.killWorkload(slot.state.cgroups));
    if (!killed) await this.#remove(id, slot);
  }

  async #statusOf(id: string): Promise<SandboxSummary> {
    const slot = this.#find(id);
    const ask = async (): Promise<boolean> => isAsleep(slot) || slot.link.isSuspended();
    // Of one that sleeps whole only the end is seen, by its connection; it may not fall asleep before it has answered.
    const stopped = await (sleepsWhole(slot) ? this.#inTurn(slot, ask) : ask()).catch(() => null);
    if (stopped === null) {
      void this.#remove(id, slot);
      throw new SandboxGoneError(id, "its supervisor ended");
    }
    const { cgroups, owner, createdAt, limitExceeded } = slot.state;
    const suspended = slot.bySignals ? stopped : cgroupFiles.isFrozen(cgroups);
    return {
      id,
      owner,
      state: suspended ? "suspended" : "awake",
      createdAt,
      ...(limitExceeded === null ? {} : { limitExceeded }),
    };
  }

  #location(slot: Slot): SandboxLocation {
    const { state, directories } = slot;
    const mappings = this.#keeper.launcherOf(state.runtime).mappings(directories);
    return { socketPath: directories.socket, mappings, servedMs: sleepsWhole(slot) ? servedMs : null };
  }

  #note(slot: Slot, changes: Partial<SandboxState>): void {
    slot.state = { ...slot.state, ...changes };
    writeState(slot.directories.state, slot.state);
  }

  async #start(request: CreateRequest): Promise<Slot> {
    const { id, owner, runtime, resources, environment } = request;
    await this.#removing.get(id);
    const make = { runtime, resources, environment };
    const ready = this.#pool.take(make);
    const createdAt = Date.now();
    try {
      if (ready !== null) this.#note(ready, { id, owner, createdAt });
    } catch (error) {
      if (ready !== null) this.#lose(id, ready);
      throw error;
    }
    const slot = ready ?? (await this.#keeper.start(make, { id, owner, createdAt }));
    this.#enter(slot);
    return slot;
  }

  #enter(slot: Slot): void {
    const id = slot.state.id ?? "";
    this.#slots.set(id, slot);
    slot.link.onClose(() => {
      if (this.#slots.get(id) === slot) this.#lose(id, slot);
    });
  }

  #remove(id: string, slot: Slot): Promise<void> {
    if (this.#slots.get(id) === slot) this.#slots.delete(id);
    const work = this.#keeper.remove(slot).finally(() => {
      if (this.#removing.get(id) === work) this.#removing.delete(id);
    });
    this.#removing.set(id, work);
    return work;
  }

  /** In the background: whoever waits for the sandbox has been told, or asks again. */
  #lose(id: string, slot: Slot): void {
    this.#remove(id, slot).catch((error: unknown) => {
      process.stderr.write(`cannot remove ${id}: ${String(error)}\n`);
    });
  }

  #find(id: string): Slot {
    const slot = this.#slots.get(id);
    if (slot === undefined) throw new SandboxGoneError(id, "there is no such sandbox");
    if (!slot.link.closed && existsSync(slot.directories.state)) return slot;
    this.#lose(id, slot);
    throw new SandboxGoneError(id, slot.link.closed ? "its supervisor ended" : "its directory was removed");
  }

  /** Nothing has been done to it by this request: its loss says so. */
  #findUntouched(id: string): Slot {
    try {
      return this.#find(id);
    } catch (error) {
      if (!(error instanceof SandboxGoneError)) throw error;
      throw new SandboxGoneError(id, error.reason, { reached: false });
    }
  }

  async #setSuspended(id: string, suspended: boolean): Promise<Timed> {
    const slot = this.#findUntouched(id);
    const change = async (): Promise<Timed> => {
      const start = performance.now();
      if (!suspended) {
        slot.awake = true;
        if (slot.state.limitExceeded !== null) attempt(() => this.#note(slot, { limitExceeded: null }));
        this.onAwake();
      }
      await (suspended ? fallAsleep(slot) : wakeUp(slot));
      // Later ones are not in the workload's reach.
      if (suspended && slot.awake && slot.state.supervisorPid !== null) this.#keeper.endHelpers(slot);
      if (suspended) slot.awake = false;
      return { milliseconds: performance.now() - start };
    };
    try {
      return await this.#inTurn(slot, change);
    } catch (error) {
      this.#find(id);
      throw error;
    }
  }

  #inTurn<T>(slot: Slot, work: () => Promise<T>): Promise<T> {
    const turn = slot.turn.then(work);
    slot.turn = turn.catch(() => {});
    return turn;
  }
}
