/** Requests for previews, before the API sees them: judged, connected, carried, and ended with their token. @module */
import { type ClientRequest, type IncomingMessage, ServerResponse } from "node:http";
import { type Duplex } from "node:stream";
import { Socket } from "node:net";
import type { PortConnection } from "@exoloop/sandbox/session";
import type { Logger } from "../telemetry/logger.ts";
import { exchange, exchangeUpgrade, type Exchange, type Limits } from "./exchange.ts";
import { type Carried, createCarried } from "./carried.ts";
import { preflightHeaders } from "./headers.ts";
import { answerFailure, type PreviewFailure } from "./pages.ts";
import type { Previews } from "./previews.ts";
import { type PreviewRequest, previewPath, readPreviewRequest, schemeOf } from "./urls.ts";

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

interface Way {
  /** Closes when it is over. */
  readonly life: ServerResponse | Socket;
  begin(exchanged: Exchange, connection: PortConnection): ClientRequest;
}

export function createPreviewProxy(
  previews: Pick<Previews, "open" | "connect">,
  log: Pick<Logger, "error">,
  { limits = standardLimits, publicUrl = null }: { readonly limits?: Limits; readonly publicUrl?: URL | null } = {},
): PreviewProxy {
  const carried = createCarried(mostConnections);
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse, way: Way): void => {
    carry({ previews, limits, publicUrl, carried }, incoming, outgoing, way)
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
      serve(incoming, outgoing, {
        life: outgoing,
        begin: (exchanged, connection) => exchange(connection, exchanged),
      }),
    upgrade(incoming, socket, head) {
      socket.on("error", () => socket.destroy());
      if (!(socket instanceof Socket)) return void socket.destroy();
      const outgoing = new ServerResponse(incoming);
      outgoing.shouldKeepAlive = false;
      outgoing.assignSocket(socket);
      outgoing.on("finish", () => socket.end());
      serve(incoming, outgoing, {
        life: socket,
        begin: (exchanged, connection) => exchangeUpgrade(connection, exchanged, { socket, head }),
      });
    },
    closeAll: () => carried.closeAll(),
  };
}

interface Parts {
  readonly previews: Pick<Previews, "open" | "connect">;
  readonly limits: Limits;
  readonly publicUrl: URL | null;
  readonly carried: Carried;
}

/** Null: it is answered, or will be. */
async function carry(
  { previews, limits, publicUrl, carried }: Parts,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { life, begin }: Way,
): Promise<PreviewFailure | null> {
  const url = incoming.url ?? "/";
  const asked = readPreviewRequest(incoming.headers.host, url);
  if (asked === null) return "unknown";
  if (Number(incoming.headers["content-length"] ?? 0) > limits.requestBytes) return "too_large";
  const opened = await previews.open(asked.token);
  if (typeof opened === "string") return opened;
  const { target } = asked;
  if (target === null) {
    const query = url.slice(previewPath.length + asked.token.length);
    redirect(outgoing, `${previewPath}${asked.token}/${query}`);
    return null;
  }
  if (answerPreflight(incoming, outgoing, asked)) return null;
  const entry = carried.begin(opened, () => void incoming.socket.destroy());
  if (entry === null) return "too_many";
  life.once("close", entry.end);
  const connection = await previews.connect(opened);
  if (typeof connection === "string") return connection;
  if (incoming.socket.destroyed) {
    await Promise.allSettled([connection.readable.cancel(), connection.writable.abort()]);
    return null;
  }
  const { host = "" } = incoming.headers;
  const { by, token } = asked;
  const passage = { by, token, port: opened.port, host, scheme: schemeOf(host, publicUrl) };
  begin({ incoming, outgoing, passage, target, limits }, connection);
  return null;
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
