/** The provider's control connection to the host daemon. Survives the daemon's restart. @module */
import { SandboxGoneError, SandboxUnavailableError } from "../../errors.ts";
import { type FrameConnection, connectFrames } from "./connection.ts";
import { frameTypes } from "./frames.ts";
import type { HostFailure, HostMethod, HostMethods, HostReply } from "./host-messages.ts";

export interface HostClient {
  /** Repeated after a lost connection: every method is idempotent. */
  call<M extends HostMethod>(method: M, parameters: HostMethods[M]["parameters"]): Promise<HostMethods[M]["result"]>;
  /** A new connection to a sandbox's supervisor. */
  openChannel(sandboxId: string): Promise<FrameConnection>;
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
  if (failure.code === "gone") return new SandboxGoneError(sandboxId, failure.message);
  return new SandboxUnavailableError(failure.message, failure.remedy ?? "See the sandbox host's log.");
}

function parseReply(payload: Buffer): HostReply | null {
  const value: unknown = JSON.parse(payload.toString("utf8"));
  const isReply = typeof value === "object" && value !== null && "number" in value && "ok" in value;
  return isReply ? (value as HostReply) : null;
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

export function createHostClient(options: HostClientOptions): HostClient {
  let current: Promise<FrameConnection> | null = null;
  let closing = false;
  let lastNumber = 0;
  const pending = new Map<number, Pending>();

  async function receive(connection: FrameConnection): Promise<void> {
    for (let frame = await connection.read(); frame !== null; frame = await connection.read()) {
      const reply = frame.type === frameTypes.hostReply ? parseReply(frame.payload) : null;
      if (reply === null) break;
      const waiting = pending.get(reply.number);
      pending.delete(reply.number);
      if (reply.ok) waiting?.resolve(reply.result);
      else waiting?.reject(failureToError(reply.failure, waiting.sandboxId));
    }
    connection.close();
    current = null;
    for (const waiting of pending.values()) waiting.reject(new ConnectionLostError());
    pending.clear();
  }

  async function open(): Promise<FrameConnection> {
    const connection = await connectPatiently(options);
    void receive(connection);
    return connection;
  }

  async function callOnce(method: HostMethod, parameters: object): Promise<unknown> {
    current ??= open().catch((error: unknown) => {
      current = null;
      throw error;
    });
    const connection = await current;
    const number = ++lastNumber;
    return new Promise((resolve, reject) => {
      const sandboxId = "id" in parameters ? String(parameters.id) : "";
      pending.set(number, { sandboxId, resolve, reject });
      if (connection.closed) {
        pending.delete(number);
        reject(new ConnectionLostError());
        return;
      }
      void connection.write(frameTypes.hostRequest, Buffer.from(JSON.stringify({ number, method, parameters })));
    });
  }

  return {
    async call<M extends HostMethod>(method: M, parameters: HostMethods[M]["parameters"]) {
      for (let attempt = 0; ; attempt++) {
        if (closing) throw new SandboxUnavailableError("the provider is closed", "Create a new provider.");
        try {
          return (await callOnce(method, parameters)) as HostMethods[M]["result"];
        } catch (error) {
          if (!(error instanceof ConnectionLostError) || attempt >= 3) throw error;
        }
      }
    },
    async openChannel(sandboxId) {
      for (let attempt = 0; ; attempt++) {
        if (closing) throw new SandboxUnavailableError("the provider is closed", "Create a new provider.");
        const connection = await connectPatiently(options);
        const request = { number: 0, method: "channel", parameters: { id: sandboxId } };
        await connection.write(frameTypes.hostRequest, Buffer.from(JSON.stringify(request)));
        const frame = await connection.read();
        const reply = frame?.type === frameTypes.hostReply ? parseReply(frame.payload) : null;
        const hello = reply?.ok === true ? await connection.read() : null;
        if (hello?.type === frameTypes.hello) return connection;
        connection.close();
        if (reply?.ok === false) throw failureToError(reply.failure, sandboxId);
        if (attempt >= 3) throw new SandboxGoneError(sandboxId, "its supervisor does not answer");
      }
    },
    close() {
      closing = true;
      void current?.then((connection) => connection.close()).catch(() => {});
    },
  };
}
