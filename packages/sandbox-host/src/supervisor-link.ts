/** The daemon's own connection to a supervisor. Its end is the sandbox's end. @module */
import { type Wire, connectWire, wireTypes } from "./wire.ts";

/** A supervisor that does not answer for so long is taken for dead. It is never stopped and does nothing slow here. */
const answerPatienceMs = 60_000;
/** What arrived while this process itself stood still is read before it is judged. */
const graceMs = 1_000;

/** Hangs up when no answer comes in time. The function ends the wait. */
function hangUpLate(wire: Wire, patienceMs: number): () => void {
  let timer = setTimeout(() => {
    timer = setTimeout(() => wire.close(), graceMs);
  }, patienceMs);
  return () => clearTimeout(timer);
}

export interface SupervisorLink {
  readonly closed: boolean;
  onClose(listener: () => void): void;
  /** Whether it has stopped the workload. */
  isSuspended(): Promise<boolean>;
  /** Only where no cgroup can stop the workload alone. Where it cannot either, it is taken for dead. */
  suspend(): Promise<void>;
  resume(): Promise<void>;
  /** Kills everything below the supervisor, and the supervisor. */
  shutdown(): Promise<void>;
  close(): void;
}

/** @throws when nobody listens there or no hello comes. */
async function greet(socketPath: string, patienceMs: number): Promise<Wire> {
  const wire = await connectWire(socketPath);
  const answered = hangUpLate(wire, patienceMs);
  const hello = await wire.read();
  answered();
  if (hello?.type === wireTypes.hello) return wire;
  wire.close();
  throw new Error("the supervisor did not say hello");
}

class Link implements SupervisorLink {
  readonly #wire: Wire;
  readonly #listeners: (() => void)[] = [];
  #waiting: ((answer: Buffer | null) => void) | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(wire: Wire) {
    this.#wire = wire;
    void this.#listen();
  }

  get closed(): boolean {
    return this.#wire.closed;
  }

  onClose(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** u8, then what is none of our business. */
  async isSuspended(): Promise<boolean> {
    return (await this.#ask(wireTypes.commands))[0] === 1;
  }

  async suspend(): Promise<void> {
    await this.#ask(wireTypes.suspend);
  }

  async resume(): Promise<void> {
    await this.#ask(wireTypes.resume);
  }

  async shutdown(): Promise<void> {
    await this.#ask(wireTypes.shutdown).catch(() => {});
  }

  close(): void {
    this.#wire.close();
  }

  /** An answer is `end`. Whatever is said without being asked ends the connection. */
  async #listen(): Promise<void> {
    for (let frame = await this.#wire.read(); frame !== null; frame = await this.#wire.read()) {
      const answer = frame.type === wireTypes.end ? this.#waiting : null;
      if (answer === null) this.#wire.close();
      else this.#waiting = null;
      answer?.(frame.payload);
    }
    this.#waiting?.(null);
    for (const listener of this.#listeners) listener();
  }

  #ask(type: number): Promise<Buffer> {
    const answer = this.#last.then(() => this.#exchange(type));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #exchange(type: number): Promise<Buffer> {
    if (this.closed) throw new Error("the supervisor has ended");
    const answered = hangUpLate(this.#wire, answerPatienceMs);
    const answer = new Promise<Buffer | null>((resolve) => (this.#waiting = resolve));
    void this.#wire.write(type);
    const payload = await answer;
    answered();
    if (payload === null) throw new Error("the supervisor does not answer");
    return payload;
  }
}

export async function openSupervisorLink(socketPath: string, patienceMs = answerPatienceMs): Promise<SupervisorLink> {
  return new Link(await greet(socketPath, patienceMs));
}
