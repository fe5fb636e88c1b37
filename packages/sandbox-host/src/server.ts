/** The daemon's socket: requests and answers in JSON, each in a frame. @module */
import { chmodSync, chownSync, rmSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { SandboxGoneError, SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { HostFacts, HostFailure, HostReply } from "@exoloop/sandbox/providers/local/host-messages";
import type { SandboxRegistry } from "./registry.ts";
import { Wire, wireTypes } from "./wire.ts";
import { type AnyHostRequest, InvalidRequestError, parseHostRequest } from "./request-validation.ts";

export interface HostServerOptions {
  readonly socketPath: string;
  readonly facts: HostFacts;
  readonly registry: SandboxRegistry;
  /** Besides the daemon's own user, the one that may connect. */
  readonly ownerUserId: number | null;
  /** Called once the reply to a shutdown request is on its way. */
  readonly onShutdown: () => void;
}

const diskFull: readonly unknown[] = ["ENOSPC", "EDQUOT"];

/** Any fault as a client or the launcher is told. */
export function describeFailure(error: unknown): HostFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && "code" in error && diskFull.includes(error.code)) {
    const remedy = "Make room on the disk that holds the sandboxes, then try again.";
    return { code: "unavailable", message: `the sandbox host's disk is full: ${message}.`, remedy };
  }
  if (error instanceof SandboxGoneError)
    return { code: "gone", message: error.reason, ...(error.reached ? {} : { reached: false }) };
  if (error instanceof SandboxUnavailableError) return { code: "unavailable", message, remedy: error.remedy };
  if (error instanceof InvalidRequestError) return { code: "invalid", message };
  return { code: "failed", message };
}

async function answer({ registry, facts }: HostServerOptions, request: AnyHostRequest): Promise<unknown> {
  switch (request.method) {
    case "hello":
      return facts;
    case "create":
      return registry.create(request.parameters);
    case "list":
      return registry.list(request.parameters.runtime);
    case "status":
      return registry.status(request.parameters.id);
    case "locate":
      return registry.locate(request.parameters.id);
    case "attend":
      return (await registry.attend(request.parameters.id)) ?? null;
    case "suspend":
      return registry.suspend(request.parameters.id);
    case "resume":
      return registry.resume(request.parameters.id);
    case "destroy":
      return (await registry.destroy(request.parameters.id)) ?? null;
    case "pool":
      return registry.keepWarm(request.parameters) ?? null;
    case "shutdown":
      return (await registry.close(!request.parameters.keepSandboxes)) ?? null;
  }
}

async function reply(connection: Wire, message: HostReply): Promise<void> {
  await connection.write(wireTypes.reply, Buffer.from(JSON.stringify(message)));
}

async function handle(options: HostServerOptions, connection: Wire, request: AnyHostRequest): Promise<void> {
  try {
    const result = await answer(options, request);
    await reply(connection, { number: request.number, ok: true, result });
    if (request.method === "shutdown") options.onShutdown();
  } catch (error) {
    await reply(connection, { number: request.number, ok: false, failure: describeFailure(error) });
  }
}

/** Requests of one connection are answered as they finish; a malformed one ends the connection. */
async function serve(options: HostServerOptions, connection: Wire): Promise<void> {
  for (let frame = await connection.read(); frame !== null; frame = await connection.read()) {
    try {
      if (frame.type !== wireTypes.request)
        throw new InvalidRequestError(0, `a frame of type ${frame.type} is no request`);
      const request = parseHostRequest(frame.payload);
      void handle(options, connection, request);
    } catch (error) {
      const number = error instanceof InvalidRequestError ? error.number : 0;
      await reply(connection, { number, ok: false, failure: describeFailure(error) });
      if (number === 0) return connection.close();
    }
  }
}

/** Only the daemon's user and `ownerUserId` can connect: the socket is theirs, mode 0600, from its first moment. */
export function listenForRequests(options: HostServerOptions): Promise<Server> {
  rmSync(options.socketPath, { force: true });
  const server = createServer((socket) => {
    void serve(options, new Wire(socket)).catch(() => socket.destroy());
  });
  return new Promise((resolve, reject) => {
    const mask = process.umask(0o177);
    server.once("error", reject);
    server.listen(options.socketPath, () => {
      chmodSync(options.socketPath, 0o600);
      if (options.ownerUserId !== null) chownSync(options.socketPath, options.ownerUserId, -1);
      resolve(server);
    });
    process.umask(mask);
  });
}
