/** One request, or one WebSocket, carried to a port of a sandbox and back. @module */
import { type ClientRequest, type IncomingMessage, request as openRequest, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex, pipeline, Transform } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import type { PortConnection } from "@exoloop/sandbox/session";
import { headersInward, headersOfUpgrade, headersOutward, type Passage, pairs } from "./headers.ts";
import { answerFailure } from "./pages.ts";

export interface Limits {
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Until the answer's headers. */
  readonly firstMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
}

export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly passage: Passage;
  /** Path and query, as the browser sent them. */
  readonly target: string;
  readonly limits: Limits;
}

/** Calls `end` once, after so long without `refresh`. */
interface Watch {
  refresh(ms?: number): void;
  stop(): void;
}

/** Answers in any case; whatever happens to one side ends the other. */
export function exchange(connection: PortConnection, exchanged: Exchange): ClientRequest {
  const { incoming, outgoing, limits } = exchanged;
  const { request, watch } = begin(connection, exchanged, { life: outgoing, more: [] });
  const taken = counting(limits.requestBytes, () => watch.refresh());
  pipeline(incoming, taken, request, (error) => {
    if (error instanceof TooLargeError) answerFailure(incoming, outgoing, "too_large");
  });
  return request;
}

/** The WebSocket's bytes pass as they are. `outgoing` stands for the answer of a server that does not open one. */
export function exchangeUpgrade(
  connection: PortConnection,
  exchanged: Exchange,
  { socket, head }: { readonly socket: Socket; readonly head: Uint8Array },
): ClientRequest {
  const more: Headers = [
    ["connection", "Upgrade"],
    ["upgrade", "websocket"],
  ];
  const { request, watch } = begin(connection, exchanged, { life: socket, more });
  request.on("upgrade", (response, far, farHead) => {
    watch.stop();
    exchanged.outgoing.detachSocket(socket);
    const lines = headersOfUpgrade(pairs(response.rawHeaders)).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`, "latin1");
    if (farHead.length > 0) socket.write(farHead);
    if (head.length > 0) far.write(head);
    const end = () => {
      socket.destroy();
      far.destroy();
    };
    pipeline(far, socket, end);
    pipeline(socket, far, end);
  });
  request.end();
  return request;
}

/** The request, its answer on the way back, and the end of both with `life`; its body is the caller's. */
function begin(
  connection: PortConnection,
  exchanged: Exchange,
  { life, more }: { readonly life: ServerResponse | Socket; readonly more: Headers },
): { readonly request: ClientRequest; readonly watch: Watch } {
  const { incoming, outgoing, passage, limits } = exchanged;
  const request = send(connection, exchanged, more);
  const watch = createWatch(limits.firstMs, () => {
    answerFailure(incoming, outgoing, "silent");
    request.destroy();
  });
  life.on("close", () => {
    watch.stop();
    request.destroy();
  });
  request.on("error", () => answerFailure(incoming, outgoing, "broken"));
  request.on("response", (response) => {
    watch.refresh(limits.idleMs);
    const counted = counting(limits.responseBytes, () => watch.refresh(limits.idleMs));
    relay(response, outgoing, passage, counted);
  });
  return { request, watch };
}

type Headers = ReturnType<typeof pairs>;

function send(connection: PortConnection, { incoming, passage, target }: Exchange, more: Headers): ClientRequest {
  const headers = [...headersInward(pairs(incoming.rawHeaders), passage), ...more];
  // Of a method that has no body of its own, too.
  if (incoming.headers["transfer-encoding"] !== undefined) headers.push(["transfer-encoding", "chunked"]);
  return openRequest({
    createConnection: () =>
      Duplex.fromWeb({ readable: connection.readable as ReadableStream, writable: connection.writable }),
    method: incoming.method ?? "GET",
    path: target,
    headers: headers.flat(),
    setHost: false,
  });
}

function relay(response: IncomingMessage, outgoing: ServerResponse, passage: Passage, counted: Transform): void {
  const headers = headersOutward(pairs(response.rawHeaders), passage);
  try {
    outgoing.writeHead(response.statusCode ?? 502, headers.flat());
  } catch {
    // Not what may stand in a header.
    answerFailure(response, outgoing, "broken");
    response.destroy();
    return;
  }
  outgoing.flushHeaders();
  pipeline(response, counted, outgoing, (error) => {
    if (error !== undefined && error !== null) outgoing.destroy();
  });
}

class TooLargeError extends Error {
  override readonly name = "TooLargeError";
}

function counting(maximum: number, seen: () => void): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, callback) {
      bytes += chunk.length;
      seen();
      if (bytes > maximum) callback(new TooLargeError(`more than ${maximum} bytes`));
      else callback(null, chunk);
    },
  });
}

function createWatch(ms: number, end: () => void): Watch {
  let limit = ms;
  let timer = setTimeout(end, limit).unref();
  return {
    refresh(changed = limit) {
      clearTimeout(timer);
      limit = changed;
      timer = setTimeout(end, limit).unref();
    },
    stop: () => clearTimeout(timer),
  };
}
