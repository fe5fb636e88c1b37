/** The provider's control connection to the host daemon. Survives the daemon's restart. @module */
import { SandboxGoneError, SandboxUnavailableError } from "../../errors.ts";
import { type FrameConnection, connectFrames } from "./connection.ts";
import { frameTypes } from "./frames.ts";
import type { HostFailure, HostMethod, HostMethods, HostReply } from "./host-messages.ts";

export interface HostClient {
  /** Repeated after a lost connection: every method is idempotent. */
  call<M extends HostMethod>(method: M, parameters: HostMethods[M]["parameters"]): Promise<HostMethods[M]["result"]>;
  close(): void;
}

export interface HostClientOptions {
  readonly socketPath: string;
  /** How long an unreachable daemon is waited for, in milliseconds. */
  readonly patienceMs: number;
}

interface Pending {
  readonly sandboxId: string;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

class ConnectionLostError extends Error {}

export function failureToError(failure: HostFailure, sandboxId: string): Error {
  if (failure.code === "gone")
    return new SandboxGoneError(sandboxId, failure.message, { reached: failure.reached !== false });
  return new SandboxUnavailableError(failure.message, failure.remedy ?? "See the sandbox host's log.");
}

function parseReply(payload: Buffer): HostReply | null {
  try {
    const value: unknown = JSON.parse(payload.toString("utf8"));
    const isReply = typeof value === "object" && value !== null && "number" in value && "ok" in value;
    return isReply ? (value as HostReply) : null;
  } catch {
    return null;
  }
}

async function connectPatiently(options: HostClientOptions): Promise<FrameConnection> {
  const deadline = performance.now() + options.patienceMs;
  for (let pause = 5; ; pause = Math.min(pause * 2, 200)) {
    try {
      return await connectFrames(options.socketPath);
    } catch (error) {
      if (performance.now() + pause > deadline) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new SandboxUnavailableError(`the sandbox host is not reachable: ${reason}`, "Start the sandbox host.");
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

class ReconnectingClient implements HostClient {
  readonly #options: HostClientOptions;
  readonly #pending = new Map<number, Pending>();
  #current: Promise<FrameConnection> | null = null;
  #closing = false;
  #lastNumber = 0;

  constructor(options: HostClientOptions) {
    this.#options = options;
  }

  async call<M extends HostMethod>(
    method: M,
    parameters: HostMethods[M]["parameters"],
  ): Promise<HostMethods[M]["result"]> {
    for (let attempt = 0; ; attempt++) {
      this.#assertOpen();
      try {
        return (await this.#callOnce(method, parameters)) as HostMethods[M]["result"];
      } catch (error) {
        // An earlier attempt may have been heard.
        if (error instanceof SandboxGoneError && attempt > 0) throw new SandboxGoneError(error.sandboxId, error.reason);
        if (!(error instanceof ConnectionLostError)) throw error;
        if (attempt >= 3) throw new SandboxUnavailableError("the sandbox host keeps hanging up", "See its log.");
      }
    }
  }

  close(): void {
    this.#closing = true;
    void this.#current?.then((connection) => connection.close()).catch(() => {});
  }

  #assertOpen(): void {
    if (this.#closing) throw new SandboxUnavailableError("the provider is closed", "Create a new provider.");
  }

  async #callOnce(method: HostMethod, parameters: object): Promise<unknown> {
    this.#current ??= this.#open();
    const connection = await this.#current;
    if (connection.closed) throw new ConnectionLostError();
    const number = ++this.#lastNumber;
    const sandboxId = "id" in parameters ? String(parameters.id) : "";
    const answer = new Promise((resolve, reject) => this.#pending.set(number, { sandboxId, resolve, reject }));
    void connection.write(frameTypes.hostRequest, Buffer.from(JSON.stringify({ number, method, parameters })));
    return answer;
  }

  async #open(): Promise<FrameConnection> {
    try {
      const connection = await connectPatiently(this.#options);
      void this.#receive(connection);
      return connection;
    } catch (error) {
      this.#current = null;
      throw error;
    }
  }

  async #receive(connection: FrameConnection): Promise<void> {
    for (let frame = await connection.read(); frame !== null; frame = await connection.read()) {
      const reply = frame.type === frameTypes.hostReply ? parseReply(frame.payload) : null;
      if (reply === null) break;
      const waiting = this.#pending.get(reply.number);
      this.#pending.delete(reply.number);
      if (reply.ok) waiting?.resolve(reply.result);
      else waiting?.reject(failureToError(reply.failure, waiting.sandboxId));
    }
    connection.close();
    this.#current = null;
    for (const waiting of this.#pending.values()) waiting.reject(new ConnectionLostError());
    this.#pending.clear();
  }
}

export function createHostClient(options: HostClientOptions): HostClient {
  return new ReconnectingClient(options);
}
