/** Requests for previews, before the API sees them: judged, connected, carried, and ended with their token. @module */
import { type ClientRequest, type IncomingMessage, ServerResponse } from "node:http";
import { type Duplex } from "node:stream";
import { Socket } from "node:net";
import type { Logger } from "../telemetry/logger.ts";
import { exchange, exchangeUpgrade, type Exchange, type Limits } from "./exchange.ts";
import { preflightHeaders, type Passage } from "./headers.ts";
import { answerFailure, type PreviewFailure } from "./pages.ts";
import type { Previews } from "./previews.ts";
import { type PreviewRequest, previewPath, readPreviewRequest } from "./urls.ts";
import type { PreviewTarget } from "./token.ts";

export interface PreviewProxy {
  /** Whether a request is for a preview. Whatever is not is the API's. */
  claims(incoming: IncomingMessage): boolean;
  answer(incoming: IncomingMessage, outgoing: ServerResponse): void;
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Uint8Array): void;
  /** Breaks off what is being carried. */
  closeAll(): void;
}

const standardLimits: Limits = {
  requestBytes: 64 * 1024 ** 2,
  responseBytes: 1024 ** 3,
  firstMs: 60_000,
  idleMs: 300_000,
};
/** Of one session. */
const mostConnections = 64;
/** A timer's longest. */
const longestTimerMs = 2 ** 31 - 1;

export function createPreviewProxy(
  previews: Pick<Previews, "open" | "connect">,
  log: Pick<Logger, "error">,
  limits: Limits = standardLimits,
): PreviewProxy {
  const open = new Set<{ destroy(): void }>();
  const connections = new Map<string, number>();

  const carry = async (
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    asked: PreviewRequest,
    begin: (exchanged: Exchange, connection: Parameters<typeof exchange>[0]) => ClientRequest,
  ): Promise<PreviewFailure | null> => {
    if (Number(incoming.headers["content-length"] ?? 0) > limits.requestBytes) return "too_large";
    const target = await previews.open(asked.token);
    if (typeof target === "string") return target;
    if (asked.target === null) {
      redirect(
        outgoing,
        `${previewPath}${asked.token}/${(incoming.url ?? "").slice(previewPath.length + asked.token.length)}`,
      );
      return null;
    }
    if (answerPreflight(incoming, outgoing, asked)) return null;
    const held = connections.get(target.sessionId) ?? 0;
    if (held >= mostConnections) return "too_many";
    connections.set(target.sessionId, held + 1);
    const side = { destroy: () => void incoming.socket.destroy() };
    open.add(side);
    const expiry = setTimeout(side.destroy, Math.min(msUntil(target), longestTimerMs)).unref();
    const done = () => {
      clearTimeout(expiry);
      if (!open.delete(side)) return;
      const left = (connections.get(target.sessionId) ?? 1) - 1;
      if (left > 0) connections.set(target.sessionId, left);
      else connections.delete(target.sessionId);
    };
    outgoing.once("close", done);
    incoming.socket.once("close", done);
    const connection = await previews.connect(target);
    if (typeof connection === "string") return connection;
    if (outgoing.destroyed) {
      await connection.readable.cancel();
      return null;
    }
    const passage: Passage = { ...asked, port: target.port, host: incoming.headers.host ?? "" };
    begin({ incoming, outgoing, passage, target: asked.target, limits }, connection);
    return null;
  };

  const serve = (incoming: IncomingMessage, outgoing: ServerResponse, begin: Parameters<typeof carry>[3]): void => {
    const asked = readPreviewRequest(incoming.headers.host, incoming.url ?? "/");
    const carried = asked === null ? Promise.resolve("unknown" as const) : carry(incoming, outgoing, asked, begin);
    carried
      .catch((error: unknown) => {
        log.error({ error }, "preview failed");
        return "fault" as const;
      })
      .then((failure) => {
        if (failure !== null) answerFailure(incoming, outgoing, failure);
      })
      .catch(() => outgoing.destroy());
  };

  return {
    claims: (incoming) => readPreviewRequest(incoming.headers.host, incoming.url ?? "/") !== null,
    answer: (incoming, outgoing) =>
      serve(incoming, outgoing, (exchanged, connection) => exchange(connection, exchanged)),
    upgrade(incoming, socket, head) {
      socket.on("error", () => socket.destroy());
      if (!(socket instanceof Socket)) return void socket.destroy();
      const outgoing = new ServerResponse(incoming);
      outgoing.shouldKeepAlive = false;
      outgoing.assignSocket(socket);
      outgoing.on("finish", () => socket.end());
      serve(incoming, outgoing, (exchanged, connection) => exchangeUpgrade(connection, exchanged, { socket, head }));
    },
    closeAll() {
      for (const side of open) side.destroy();
    },
  };
}

function msUntil({ expiresAt }: PreviewTarget): number {
  return Math.max(0, expiresAt * 1000 - Date.now());
}

/** A page's relative addresses begin behind the slash. */
function redirect(outgoing: ServerResponse, location: string): void {
  outgoing.writeHead(308, { location, "content-length": 0, connection: "close" }).end();
}

/** Asked by browsers for pages without an origin; the sandbox's server would not know what to say. */
function answerPreflight(
  { method, headers }: IncomingMessage,
  outgoing: ServerResponse,
  { by }: PreviewRequest,
): boolean {
  if (by !== "path" || method !== "OPTIONS" || headers["access-control-request-method"] === undefined) return false;
  outgoing.writeHead(204, preflightHeaders.flat()).end();
  return true;
}
