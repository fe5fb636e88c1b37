/** The daemon's socket: requests in JSON, and channels that carry a supervisor's frames untouched. @module */
import { chmodSync, chownSync, rmSync } from "node:fs";
import { type Server, type Socket, connect, createServer } from "node:net";
import type { CreateSandboxRequest } from "@exoloop/sandbox/contract";
import { SandboxGoneError, SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { type FrameConnection, frameConnection } from "@exoloop/sandbox/providers/local/connection";
import { frameTypes } from "@exoloop/sandbox/providers/local/frames";
import type { HostFacts, HostFailure, HostReply, HostRequest } from "@exoloop/sandbox/providers/local/host-messages";
import type { SandboxRegistry } from "./registry.ts";
import { InvalidRequestError, parseHostRequest } from "./request-validation.ts";

export interface HostServerOptions {
  readonly socketPath: string;
  readonly facts: HostFacts;
  readonly registry: SandboxRegistry;
  /** Besides the daemon's own user, the one that may connect. */
  readonly ownerUserId?: number;
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
    return { code: "gone", message: message.replace(/^sandbox \S+ is gone: /, "") };
  if (error instanceof SandboxUnavailableError) return { code: "unavailable", message, remedy: error.remedy };
  if (error instanceof InvalidRequestError) return { code: "invalid", message };
  return { code: "failed", message };
}

function idOf(request: HostRequest): string {
  return "id" in request.parameters ? request.parameters.id : "";
}

async function answer(options: HostServerOptions, request: HostRequest): Promise<unknown> {
  const { registry } = options;
  switch (request.method) {
    case "hello":
      return options.facts;
    case "create":
      return (await registry.create(request.parameters as CreateSandboxRequest)) ?? null;
    case "list":
      return registry.list();
    case "status":
      return registry.status(idOf(request));
    case "suspend":
      return registry.suspend(idOf(request));
    case "resume":
      return registry.resume(idOf(request));
    case "destroy":
      return (await registry.destroy(idOf(request))) ?? null;
    case "shutdown":
      if (!("keepSandboxes" in request.parameters && request.parameters.keepSandboxes)) await registry.destroyAll();
      return null;
    case "channel":
      throw new InvalidRequestError(request.number, "a channel needs a connection of its own");
  }
}

/** Of connect(2): nobody listens. Others say that this process or its peer is short of something at the moment. */
const nobodyListens: readonly unknown[] = ["ECONNREFUSED", "ENOENT"];

/** @throws SandboxGoneError when nobody listens any more; SandboxUnavailableError when it cannot be told. */
async function connectToSupervisor(registry: SandboxRegistry, id: string): Promise<Socket> {
  const path = registry.socketOf(id);
  try {
    return await new Promise<Socket>((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", reject);
      socket.once("connect", () => resolve(socket.off("error", reject)));
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (!(error instanceof Error && "code" in error && nobodyListens.includes(error.code))) {
      throw new SandboxUnavailableError(`the supervisor of ${id} is out of reach: ${reason}`, "Try again.");
    }
    await registry.verify(id);
    throw new SandboxGoneError(id, `its supervisor does not listen: ${reason}`);
  }
}

function joinSockets(left: Socket, right: Socket): void {
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    from.on("error", () => from.destroy());
    from.on("close", () => to.destroy());
    from.pipe(to);
  }
}

async function openChannel(
  options: HostServerOptions,
  connection: FrameConnection,
  request: HostRequest,
): Promise<void> {
  const supervisor = await connectToSupervisor(options.registry, idOf(request));
  await reply(connection, { number: request.number, ok: true, result: null });
  const { socket, rest } = connection.detach();
  supervisor.write(rest);
  joinSockets(socket, supervisor);
}

async function reply(connection: FrameConnection, message: HostReply): Promise<void> {
  await connection.write(frameTypes.hostReply, Buffer.from(JSON.stringify(message)));
}

async function handle(options: HostServerOptions, connection: FrameConnection, request: HostRequest): Promise<void> {
  try {
    const result = await answer(options, request);
    await reply(connection, { number: request.number, ok: true, result });
    if (request.method === "shutdown") options.onShutdown();
  } catch (error) {
    await reply(connection, { number: request.number, ok: false, failure: describeFailure(error) });
  }
}

/** Requests of one connection are answered as they finish; a malformed one ends the connection. */
async function serve(options: HostServerOptions, connection: FrameConnection): Promise<void> {
  for (let frame = await connection.read(); frame !== null; frame = await connection.read()) {
    try {
      if (frame.type !== frameTypes.hostRequest)
        throw new InvalidRequestError(0, `a frame of type ${frame.type} is no request`);
      const request = parseHostRequest(frame.payload);
      if (request.method === "channel") return await openChannel(options, connection, request);
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
    void serve(options, frameConnection(socket)).catch(() => socket.destroy());
  });
  return new Promise((resolve, reject) => {
    const mask = process.umask(0o177);
    server.once("error", reject);
    server.listen(options.socketPath, () => {
      chmodSync(options.socketPath, 0o600);
      if (options.ownerUserId !== undefined) chownSync(options.socketPath, options.ownerUserId, -1);
      resolve(server);
    });
    process.umask(mask);
  });
}
