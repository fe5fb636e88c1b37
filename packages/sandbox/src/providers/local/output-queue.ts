/** Output that arrived and was not yet taken. @module */
import type { CommandOutputChunk } from "../../session.ts";

/** A reader that is further behind is waited for; the sandbox keeps what it does not get. */
const maximumQueuedBytes = 4 << 20;
/** What a chunk takes beside its bytes: a command may write them one at a time. */
const chunkOverheadBytes = 256;

export interface OutputQueue {
  push(chunk: CommandOutputChunk): void;
  /** Resolves when there is room for more, at once when there is. */
  room(): Promise<void>;
  readonly full: boolean;
  /** Resolves when it is full, now or later; never when that does not happen. */
  becomesFull(): Promise<void>;
  end(error?: Error): void;
  iterate(): AsyncIterator<CommandOutputChunk>;
}

class BoundedQueue implements OutputQueue {
  readonly #chunks: CommandOutputChunk[] = [];
  readonly #fullListeners: (() => void)[] = [];
  #bytes = 0;
  #ended = false;
  #abandoned = false;
  #failure: Error | undefined;
  #wakeReader: (() => void) | null = null;
  #wakeWriter: (() => void) | null = null;

  get full(): boolean {
    return this.#bytes > maximumQueuedBytes;
  }

  push(chunk: CommandOutputChunk): void {
    if (this.#abandoned) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.bytes.length + chunkOverheadBytes;
    this.#wakeReader?.();
    if (this.full) for (const listener of this.#fullListeners.splice(0)) listener();
  }

  async room(): Promise<void> {
    while (this.full) await new Promise<void>((resolve) => (this.#wakeWriter = resolve));
  }

  becomesFull(): Promise<void> {
    return new Promise((resolve) => {
      if (this.full) resolve();
      else this.#fullListeners.push(resolve);
    });
  }

  end(error?: Error): void {
    this.#ended = true;
    this.#failure = error;
    this.#wakeReader?.();
  }

  iterate(): AsyncIterator<CommandOutputChunk> {
    return { next: () => this.#next(), return: async () => this.#abandon() };
  }

  async #next(): Promise<IteratorResult<CommandOutputChunk, undefined>> {
    while (this.#chunks.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
    const value = this.#chunks.shift();
    if (value === undefined && this.#failure !== undefined) throw this.#failure;
    if (value === undefined) return { done: true, value: undefined };
    this.#bytes -= value.bytes.length + chunkOverheadBytes;
    if (!this.full) this.#wakeWriter?.();
    return { done: false, value };
  }

  #abandon(): IteratorResult<CommandOutputChunk, undefined> {
    this.#abandoned = true;
    this.#chunks.length = 0;
    this.#bytes = 0;
    this.#wakeWriter?.();
    return { done: true, value: undefined };
  }
}

export function createOutputQueue(): OutputQueue {
  return new BoundedQueue();
}
