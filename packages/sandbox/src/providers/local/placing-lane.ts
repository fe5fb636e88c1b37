/** One of the connections over which many entries are placed side by side. @module */
import { SandboxFileError } from "../../errors.ts";
import type { PlacedEntry } from "../../session.ts";
import { type Channels, readAnswer } from "./channels.ts";
import type { FrameConnection } from "./connection.ts";

/** Twice as many are sent before their answers: more would only be held, and let nobody else have their turn. */
const entriesAhead = 64;

/** Writes one entry, request and content, without waiting for the answer. */
export type SendEntry = (channel: FrameConnection, entry: PlacedEntry) => Promise<void>;

export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** @throws SandboxFileError */
export async function readPlaced(channel: FrameConnection, path: string): Promise<void> {
  const answer = await readAnswer(channel, path);
  if (answer === null) throw new SandboxFileError("failed", path, `${path}: the directory vanished`);
}

/** Answers come while later entries are still sent. After a failure nothing more is sent. */
export class PlacingLane {
  readonly #channels: Channels;
  readonly #channel: FrameConnection;
  /** The answer to the last entry sent, and to all before it. */
  #answered: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #sent = 0;
  /** As `#answered`, when the number of entries sent was last a multiple of {@link entriesAhead}. */
  #earlier: Promise<void> = Promise.resolve();

  private constructor(channels: Channels, channel: FrameConnection) {
    this.#channels = channels;
    this.#channel = channel;
  }

  static async open(channels: Channels): Promise<PlacingLane> {
    return new PlacingLane(channels, await channels.acquire());
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  async send(entry: PlacedEntry, send: SendEntry): Promise<void> {
    try {
      await send(this.#channel, entry);
    } catch (error) {
      this.#failure ??= toError(error);
      return;
    }
    this.#answered = this.#answered
      .then(() => (this.#failure === undefined ? readPlaced(this.#channel, entry.path) : undefined))
      .catch((error: unknown) => void (this.#failure ??= toError(error)));
    this.#sent += 1;
    if (this.#sent % entriesAhead !== 0) return;
    const earlier = this.#earlier;
    this.#earlier = this.#answered;
    await earlier;
  }

  /** Resolves when everything that was sent is placed, or has failed. */
  settled(): Promise<void> {
    return this.#answered;
  }

  close(): void {
    if (this.#failure === undefined) this.#channels.release(this.#channel);
    else this.#channels.discard(this.#channel);
  }
}
