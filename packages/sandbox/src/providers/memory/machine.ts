/** The processes of a sandbox in memory: they stand still while it is suspended, and signals end them. @module */

export const signalNumbers: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  TERM: 15,
  CONT: 18,
  STOP: 19,
};

export interface MemoryProcess {
  readonly pid: number;
  readonly commandId: string;
  readonly name: string;
  /** Signals without effect on it; children begin with the same. */
  readonly ignored: Set<number>;
  readonly isMaintenance: boolean;
  /** The signal that ended it. */
  killedBy: number | null;
}

/** Unwinds a process that a signal ended. */
export class KilledError extends Error {
  override readonly name = "KilledError";
  readonly signal: number;
  constructor(signal: number) {
    super(`killed by signal ${signal}`);
    this.signal = signal;
  }
}

export interface Machine {
  readonly isAwake: boolean;
  suspend(): void;
  resume(): void;
  /** A new process: the child of `parent`, or a command of its own. */
  start(
    name: string,
    parent: MemoryProcess | { readonly commandId: string; readonly isMaintenance: boolean },
  ): MemoryProcess;
  end(process: MemoryProcess): void;
  living(): readonly MemoryProcess[];
  /** All processes of a command. False: none lives. */
  signalGroup(commandId: string, signal: number): boolean;
  signal(pid: number, signal: number): boolean;
  /** What a process waits for. Goes on when the sandbox is awake. @throws KilledError */
  step<Value>(process: MemoryProcess, awaited?: Promise<Value>): Promise<Value | undefined>;
  sleep(process: MemoryProcess, milliseconds: number): Promise<void>;
  killAll(): void;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Signals that end nothing: CHLD, CONT, STOP (jobs are not stopped here), URG, WINCH. */
const harmless = new Set([0, 17, 18, 19, 23, 28]);

/** Whether the sandbox is awake, and who waits for that or for a signal to change. */
interface Wakefulness {
  awake: boolean;
  changed: PromiseWithResolvers<void>;
}

function announce(state: Wakefulness): void {
  state.changed.resolve();
  state.changed = Promise.withResolvers<void>();
}

function deliver(state: Wakefulness, process: MemoryProcess, signal: number): void {
  if (harmless.has(signal) || (signal !== 9 && process.ignored.has(signal))) return;
  if (process.killedBy === null || signal === 9) process.killedBy = signal;
  announce(state);
}

async function step<Value>(
  state: Wakefulness,
  process: MemoryProcess,
  awaited?: Promise<Value>,
): Promise<Value | undefined> {
  const settled = awaited?.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  let outcome: { readonly value: Value } | { readonly error: unknown } | undefined;
  for (;;) {
    const isStill = !state.awake && !process.isMaintenance;
    // SIGKILL ends a process that stands still too; other signals wait for the sandbox to wake.
    if (process.killedBy !== null && (process.killedBy === 9 || !isStill)) throw new KilledError(process.killedBy);
    if ((settled === undefined || outcome !== undefined) && !isStill) break;
    const next = await Promise.race([state.changed.promise, ...(settled === undefined || outcome ? [] : [settled])]);
    if (next !== undefined) outcome = next;
  }
  if (outcome !== undefined && "error" in outcome) throw asError(outcome.error);
  return outcome?.value;
}

async function sleep(state: Wakefulness, process: MemoryProcess, milliseconds: number): Promise<void> {
  const timer = Promise.withResolvers<void>();
  const handle = setTimeout(timer.resolve, milliseconds);
  try {
    await step(state, process, timer.promise);
  } finally {
    clearTimeout(handle);
  }
}

export function createMachine(): Machine {
  const processes = new Map<number, MemoryProcess>();
  const state: Wakefulness = { awake: false, changed: Promise.withResolvers<void>() };
  let pids = 1;
  return {
    get isAwake() {
      return state.awake;
    },
    suspend: () => void (state.awake = false),
    resume() {
      state.awake = true;
      announce(state);
    },
    start(name, parent) {
      const { commandId, isMaintenance } = parent;
      const ignored = new Set("ignored" in parent ? parent.ignored : []);
      const process: MemoryProcess = { pid: ++pids, commandId, name, ignored, isMaintenance, killedBy: null };
      processes.set(process.pid, process);
      return process;
    },
    end: ({ pid }) => void processes.delete(pid),
    living: () => [...processes.values()],
    signalGroup(commandId, signal) {
      const group = [...processes.values()].filter((process) => process.commandId === commandId);
      for (const process of group) deliver(state, process, signal);
      return group.length > 0;
    },
    signal(pid, signal) {
      const process = processes.get(pid);
      if (process !== undefined) deliver(state, process, signal);
      return process !== undefined;
    },
    step: (process, awaited) => step(state, process, awaited),
    sleep: (process, milliseconds) => sleep(state, process, milliseconds),
    killAll() {
      for (const process of processes.values()) deliver(state, process, 9);
    },
  };
}
