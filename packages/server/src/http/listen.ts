/** Serves the app on a port of this machine. @module */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { StartupError } from "../errors.ts";
import type { HttpApp } from "./app.ts";

export interface Listener {
  /** @example "http://127.0.0.1:4848" */
  readonly url: string;
  readonly port: number;
  /** Takes no more requests, ends streams, waits up to `graceMs` for the rest, then closes every connection. */
  stop(graceMs: number): Promise<void>;
}

const remedies: Readonly<Record<string, (host: string, port: number) => string>> = {
  EADDRINUSE: (_host, port) =>
    `Port ${port} is already in use: stop the program that uses it, or choose another one with EXOLOOP_PORT.`,
  EACCES: (_host, port) => `Port ${port} needs more rights: choose one above 1023 with EXOLOOP_PORT.`,
  EADDRNOTAVAIL: (host) => `The address ${host} is not one of this machine: choose another one with EXOLOOP_HOST.`,
  ENOTFOUND: (host) => `The host name ${host} is not known: choose another one with EXOLOOP_HOST.`,
};

function startupError(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const remedy = remedies[code];
  return remedy === undefined ? error : new StartupError(remedy(host, port));
}

/**
 * @param port 0 takes a free one
 * @throws StartupError when the address cannot be had; its message names the remedy
 */
export async function listen(http: HttpApp, host: string, port: number): Promise<Listener> {
  // The headers of a request must arrive within a minute; an answer may take its time.
  const answer = getRequestListener(http.app.fetch);
  const { previews } = http;
  const isForPreview = (incoming: IncomingMessage) => previews?.claims(incoming) === true;
  const options = {
    requestTimeout: 120_000,
    headersTimeout: 60_000,
    // The API speaks no other protocol: whoever offers one is answered as if they had not.
    shouldUpgradeCallback: (incoming: IncomingMessage) =>
      incoming.headers.upgrade?.toLowerCase() === "websocket" && isForPreview(incoming),
  };
  const server = createServer(options, (incoming, outgoing) => {
    if (isForPreview(incoming)) previews?.answer(incoming, outgoing);
    else void answer(incoming, outgoing);
  });
  server.on("upgrade", (incoming, socket, head) => previews?.upgrade(incoming, socket, head));
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw startupError(error, host, port);
  }
  const address = server.address();
  const bound = address !== null && typeof address === "object" ? address.port : port;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    async stop(graceMs) {
      const closed = once(server, "close");
      server.close();
      http.closeStreams();
      previews?.closeAll();
      // A connection whose last answer ends only now would be kept for a next request.
      const sweep = setInterval(() => server.closeIdleConnections(), 20);
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(timer);
    },
  };
}
