/**
 * A stand-in for model providers on a loopback port: Messages, Responses and Chat Completions, streaming and not. It
 * serves the scripted model's steps, fails as told, refuses what the services refuse, and keeps every request.
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Conversation } from "../script.ts";
import { chatWire } from "./chat-wire.ts";
import { messagesWire } from "./messages-wire.ts";
import { responsesWire } from "./responses-wire.ts";
import { type ServedStep, type Wire, type WireFault, WireRefusal } from "./wire.ts";

export type { ServedStep } from "./wire.ts";

export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

export interface ModelServer {
  /** Without a path: `http://127.0.0.1:40123`. The base URL of clients is this with `/v1`. */
  readonly url: string;
  readonly requests: readonly LoggedRequest[];
  /** Answers that are still being written. */
  openAnswers(): number;
  /** Ends open answers too. */
  close(): Promise<void>;
}

export interface ModelServerOptions {
  /** The step served is the number of answers that the request's conversation holds. */
  readonly script?: readonly ServedStep[];
  /** Decides the step instead of a script. */
  readonly brain?: (conversation: Conversation) => ServedStep;
  /** What `GET /v1/models` lists. */
  readonly models?: readonly string[];
}

const wires: readonly Wire[] = [messagesWire, responsesWire, chatWire];
const longestBody = 32 * 1024 * 1024;
const preamble = z.object({ model: z.string(), stream: z.boolean().default(false) });

/** @example const server = await startModelServer({ script: [{ text: "Hello." }] }) */
export async function startModelServer(options: ModelServerOptions): Promise<ModelServer> {
  const requests: LoggedRequest[] = [];
  const answer = createAnswerer(options, requests);
  let open = 0;
  const server = createServer((request, response) => {
    open += 1;
    response.once("close", () => {
      open -= 1;
    });
    answer(request, response).catch((error: unknown) => {
      if (error instanceof WireRefusal) return sendJson(response, 400, error.message);
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("The stand-in has no address.");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    openAnswers: () => open,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

function createAnswerer(options: ModelServerOptions, requests: LoggedRequest[]) {
  const failures = new Map<string, number>();
  const serve = async (wire: Wire, body: unknown, response: ServerResponse) => {
    const { model, stream } = preamble.parse(body);
    const conversation = wire.read(body);
    const position = conversation.messages.filter((message) => message.role === "assistant").length;
    const planned = options.brain?.(conversation) ?? options.script?.[position] ?? { text: "The script has ended." };
    const fault = dueFault(planned, JSON.stringify([wire.path, conversation.messages]), failures);
    const step: ServedStep = isWireFault(planned.fault) ? { ...planned, fault: undefined } : planned;
    if (step.delayMs !== undefined) await sleep(step.delayMs);
    if (fault?.kind === "silence" && fault.of === "headers") return;
    if (fault?.kind === "reset" && fault.before === "headers") return resetConnection(response);
    if (fault?.kind === "status" && fault.body !== undefined) {
      response.writeHead(fault.status, fault.headers);
      response.end(fault.body);
      return;
    }
    if (fault?.kind === "status") {
      const problem = wire.error(fault.errorType ?? "api_error", fault.message ?? "The stand-in fails.");
      return sendJson(response, fault.status, problem, fault.headers);
    }
    if (!stream) return sendJson(response, 200, wire.whole(step, model));
    await sendEvents(wire, step, model, fault, response);
  };
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    const body = await readJson(request);
    requests.push({ method: request.method ?? "", path, headers: request.headers, body });
    if (path === "/v1/models") {
      const data = (options.models ?? ["stand-in"]).map((id) => ({ id, object: "model" }));
      return sendJson(response, 200, { object: "list", data });
    }
    const wire = wires.find((candidate) => candidate.path === path);
    if (wire === undefined)
      return sendJson(response, 404, { error: { type: "not_found_error", message: "No such path." } });
    try {
      await serve(wire, body, response);
    } catch (error) {
      if (!(error instanceof WireRefusal) && !(error instanceof z.ZodError)) throw error;
      sendJson(response, 400, wire.error("invalid_request_error", error.message));
    }
  };
}

async function sendEvents(
  wire: Wire,
  step: ServedStep,
  model: string,
  fault: DueFault | null,
  response: ServerResponse,
): Promise<void> {
  const events = wire.events(step, model);
  const half = Math.ceil(events.length / 2);
  const sent = fault === null ? events : fault.kind === "no_finish" ? events.slice(0, -2) : events.slice(0, half);
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.flushHeaders();
  for (const { event, data } of fault?.kind === "silence" && fault.of === "answer" ? [] : sent) {
    if (response.destroyed) return;
    response.write(`${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`);
    if (step.chunkDelayMs !== undefined) await sleep(step.chunkDelayMs);
  }
  switch (fault?.kind) {
    case "silence":
      return;
    case "disconnect":
      // What is written must leave before the connection breaks.
      await sleep(30);
      response.destroy();
      return;
    case "reset":
      await sleep(30);
      return resetConnection(response);
    case "stream_error": {
      const { event, data } = wire.streamError(fault.errorType);
      response.write(`${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`);
      break;
    }
    case "status":
    case "no_finish":
      break;
    case undefined:
      if (wire.end !== undefined) response.write(`data: ${wire.end}\n\n`);
  }
  response.end();
}

/** The other end sees ECONNRESET, and not the end of a connection. */
function resetConnection(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

type DueFault = WireFault | { readonly kind: "disconnect" };

/** The failure of this request, if one is due. Shapes of answers (malformed arguments, length …) are the wires' matter. */
function dueFault({ fault }: ServedStep, key: string, failures: Map<string, number>): DueFault | null {
  const due = toDueFault(fault);
  if (due === null) return null;
  const failed = failures.get(key) ?? 0;
  if (failed >= (fault?.times ?? 1)) return null;
  failures.set(key, failed + 1);
  return due;
}

function toDueFault(fault: ServedStep["fault"]): DueFault | null {
  switch (fault?.kind) {
    case "rate_limited": {
      const headers = fault.retryAfterMs === undefined ? {} : { "retry-after": String(fault.retryAfterMs / 1000) };
      return { kind: "status", status: 429, errorType: "rate_limit_error", headers };
    }
    case "overloaded":
      return { kind: "status", status: 529, errorType: "overloaded_error" };
    case "disconnect":
      return { kind: "disconnect" };
    case "status":
    case "stream_error":
    case "silence":
    case "reset":
    case "no_finish":
      return fault;
    default:
      return null;
  }
}

function isWireFault(fault: ServedStep["fault"]): fault is WireFault {
  return ["status", "stream_error", "silence", "reset", "no_finish"].includes(fault?.kind ?? "");
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    pieces.push(piece);
    length += piece.length;
    if (length > longestBody) throw new WireRefusal("The body is too large.");
  }
  const text = Buffer.concat(pieces).toString();
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    throw new WireRefusal("The body is not JSON.");
  }
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
