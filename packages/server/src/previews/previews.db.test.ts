/** Previews over real HTTP: everything but the sandbox, whose port is one of this machine. */
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import type { PortConnection } from "@exoloop/sandbox/session";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { silentLog, startTestServer, type TestServer } from "../http/testing.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import type { SandboxOwner } from "../sandboxes/workspace.ts";
import { eventually } from "../sandboxes/testing.ts";
import { createPreviews, type Previews } from "./previews.ts";
import { createPreviewProxy } from "./proxy.ts";

let database: TestDatabase;
let server: TestServer;
let previews: Previews;
let owner: SandboxOwner;
/** What listens in the sandbox. */
let inside: Server;
let seen: IncomingMessage[];
let serve: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
let connections: number;

const connectTo = async (port: number): Promise<PortConnection | null> => {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
  } catch {
    return null;
  }
  connections += 1;
  socket.once("close", () => (connections -= 1));
  const { readable, writable } = Duplex.toWeb(socket);
  return { readable: readable as ReadableStream<Uint8Array>, writable };
};

beforeAll(async () => {
  database = await createTestDatabase();
  previews = createPreviews({
    database: database.database,
    ports: { connect: (_owner, port) => connectTo(port) },
    log: silentLog,
  });
  const limits = { requestBytes: 100_000, responseBytes: 10_000_000, firstMs: 400, idleMs: 400 };
  const proxy = createPreviewProxy(previews, silentLog, { limits, publicUrl: new URL("https://agents.example.com") });
  server = await startTestServer({ previews: proxy });
  inside = createServer((incoming, outgoing) => {
    seen.push(incoming);
    serve(incoming, outgoing);
  });
  inside.listen(0, "127.0.0.1");
  await once(inside, "listening");
});
afterAll(async () => {
  inside.closeAllConnections();
  inside.close();
  await server.stop();
  await database.drop();
});
beforeEach(async () => {
  seen = [];
  connections = 0;
  serve = (_incoming, outgoing) => outgoing.end("hello");
  owner = await insertTestSession(database.database);
  await database.database
    .insertInto("sandboxes")
    .values({ session_id: owner.sessionId, organization_id: owner.organizationId, provider: "x", sandbox_id: "sbx_1" })
    .execute();
});
// Nothing stays open, whatever happened.
afterEach(() => eventually(() => Promise.resolve(connections === 0)));

const portInside = () => (inside.address() as AddressInfo).port;
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const tokenOf = (port = portInside(), expiresAt = inSeconds(60)) => previews.create({ ...owner, port, expiresAt });
const urlOf = async (path = "", port = portInside()) => `${server.listener.url}/preview/${await tokenOf(port)}/${path}`;
const codeOf = async (response: Response) => {
  const { error }: { error: { code: string } } = await response.json();
  return [response.status, error.code];
};

it("carries a request to the port and its answer back, as they are", async () => {
  serve = (incoming, outgoing) => {
    outgoing.writeHead(201, { "content-type": "text/plain", "set-cookie": "a=b", "x-own": "yes" });
    incoming.pipe(outgoing);
  };
  const response = await fetch(await urlOf("a/b%2Fc?q=1&q=2"), {
    method: "PUT",
    body: "x".repeat(50_000),
    headers: { authorization: "Bearer secret", cookie: "secret=1", "x-own": "kept" },
  });
  expect([response.status, await response.text()]).toEqual([201, "x".repeat(50_000)]);
  expect(response.headers.get("x-own")).toBe("yes");
  expect(response.headers.get("set-cookie")).toBeNull();
  expect(response.headers.get("content-security-policy")).toContain("sandbox allow-scripts");
  expect(response.headers.get("content-security-policy")).not.toContain("allow-same-origin");
  const [request] = seen;
  expect([request?.method, request?.url]).toEqual(["PUT", "/a/b%2Fc?q=1&q=2"]);
  expect(request?.headers).toMatchObject({ host: `localhost:${portInside()}`, "x-own": "kept" });
  expect(JSON.stringify(request?.rawHeaders)).not.toContain("secret");
});

it("tells the scheme of the public address to those that come by it, whatever a header says", async () => {
  const { port } = new URL(server.listener.url);
  const path = new URL(await urlOf()).pathname;
  for (const host of ["agents.example.com", "127.0.0.1"]) {
    const headers = { host, "x-forwarded-proto": "gopher" };
    const request = openRequest({ host: "127.0.0.1", port, path, headers }).end();
    const [response]: [IncomingMessage] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
  }
  expect(seen.map(({ headers }) => headers["x-forwarded-proto"])).toEqual(["https", "http"]);
});

it("streams in both directions before either has ended", async () => {
  serve = (incoming, outgoing) => void incoming.on("data", (chunk) => outgoing.write(`got ${chunk}`));
  const url = await urlOf();
  const request = openRequest(url, { method: "POST" });
  request.write("one");
  const [response]: [IncomingMessage] = (await once(request, "response")) as [IncomingMessage];
  expect(String((await once(response, "data"))[0])).toBe("got one");
  request.write("two");
  expect(String((await once(response, "data"))[0])).toBe("got two");
  request.destroy();
});

it("opens WebSockets, and gives the answer of a server that opens none", async () => {
  const echo = (incoming: IncomingMessage, socket: Duplex) => {
    const accept = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    socket.write(`${accept}Sec-WebSocket-Protocol: own\r\nSet-Cookie: a=b\r\n\r\nfirst:${incoming.headers.origin}`);
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("end", () => socket.end());
  };
  inside.once("upgrade", echo);
  const { socket, head, rest } = await upgrade(await urlOf("socket"));
  expect(head).toMatch(/^HTTP\/1.1 101 /);
  expect(head).toContain("Sec-WebSocket-Protocol: own");
  expect(head).not.toContain("Set-Cookie");
  expect(rest).toBe(`first:http://localhost:${portInside()}`);
  socket.write("ping");
  expect(String((await once(socket, "data"))[0])).toBe("ping");
  // Longer than a request may be silent.
  await new Promise((resolve) => setTimeout(resolve, 600));
  socket.write("pong");
  expect(String((await once(socket, "data"))[0])).toBe("pong");
  socket.destroy();
  await eventually(() => Promise.resolve(connections === 0));
  serve = (_incoming, outgoing) => outgoing.writeHead(426).end("no");
  expect((await upgrade(await urlOf())).head).toMatch(/^HTTP\/1.1 426 /);
  expect((await upgrade(`${server.listener.url}/preview/wrong/`)).head).toMatch(/^HTTP\/1.1 404 /);
});

it("answers whoever offers the API another protocol as if they had not", async () => {
  const request = openRequest(`${server.listener.url}/v1/agents`, {
    method: "POST",
    headers: { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABk" },
  });
  request.end("{}");
  const [response] = (await once(request, "response")) as [IncomingMessage];
  expect(response.statusCode).toBe(401);
  response.resume();
  const { head, socket } = await upgrade(`${server.listener.url}/v1/agents`);
  expect(head).toMatch(/^HTTP\/1.1 401 /);
  socket.destroy();
});

it("tells each way in which there is nothing to show by one answer of its own", async () => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port: closed } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const token = await tokenOf();
  const ask = async (path: string) => codeOf(await fetch(`${server.listener.url}/preview/${path}`));
  const forged = `${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`;
  expect(await ask(`${forged}/`)).toEqual([404, "unknown"]);
  expect(await ask("nothing/")).toEqual([404, "unknown"]);
  // Another session's, with this one's signature.
  const other = createId("session").slice(5).toLowerCase();
  expect(await ask(`${other}${token.slice(26)}/`)).toEqual([404, "unknown"]);
  const stranger = await insertTestSession(database.database);
  expect(await ask(`${stranger.sessionId.slice(5).toLowerCase()}${token.slice(26)}/`)).toEqual([404, "unknown"]);
  expect(await ask(`${await tokenOf(portInside(), inSeconds(-1))}/`)).toEqual([410, "expired"]);
  expect(await ask(`${await tokenOf(closed)}/`)).toEqual([502, "nobody_listens"]);
  const sandboxes = database.database.updateTable("sandboxes").where("session_id", "=", owner.sessionId);
  await sandboxes.set({ sandbox_id: null, state: "gone" }).execute();
  expect(await ask(`${token}/`)).toEqual([503, "no_sandbox"]);
  const sessions = database.database.updateTable("sessions").where("id", "=", owner.sessionId);
  await sessions.set({ archived_at: new Date() }).execute();
  expect(await ask(`${token}/`)).toEqual([410, "session_ended"]);
  expect(seen).toEqual([]);
});

it("gives up on a server that says nothing, breaks off or talks nonsense, and on requests that are too large", async () => {
  serve = () => undefined;
  expect(await codeOf(await fetch(await urlOf()))).toEqual([504, "silent"]);
  serve = (incoming) => incoming.socket.destroy();
  expect(await codeOf(await fetch(await urlOf()))).toEqual([502, "broken"]);
  serve = (incoming) => incoming.socket.end("SSH-2.0-nonsense\r\n");
  expect(await codeOf(await fetch(await urlOf()))).toEqual([502, "broken"]);
  serve = () => undefined;
  const declared = fetch(await urlOf(), { method: "POST", body: "x".repeat(100_001) });
  expect(await codeOf(await declared)).toEqual([413, "too_large"]);
  const body = new Blob(["x".repeat(100_001)]).stream();
  const streamed = fetch(await urlOf(), { method: "POST", body, duplex: "half" } as RequestInit);
  expect(await codeOf(await streamed)).toEqual([413, "too_large"]);
  serve = (_incoming, outgoing) => outgoing.end("x".repeat(10_000_001));
  const long = await fetch(await urlOf());
  await expect(long.text()).rejects.toThrow();
});

it("shows people a page in which nothing is of the sandbox, and leads them behind the slash", async () => {
  const html = { headers: { accept: "text/html" } };
  const response = await fetch(`${server.listener.url}/preview/<script>alert(1)</script>/`, html);
  const text = await response.text();
  expect([response.status, response.headers.get("content-type")]).toEqual([404, "text/html; charset=utf-8"]);
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(text).toContain("<h1>No such preview</h1>");
  expect(text).not.toContain("alert");
  const token = await tokenOf();
  const bare = await fetch(`${server.listener.url}/preview/${token}?q`, { redirect: "manual" });
  expect([bare.status, bare.headers.get("location")]).toEqual([308, `/preview/${token}/?q`]);
});

it("is for pages without an origin: they may read their own server's answers", async () => {
  const response = await fetch(await urlOf("api"), {
    method: "OPTIONS",
    headers: { origin: "null", "access-control-request-method": "PUT" },
  });
  expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
  expect(response.headers.get("access-control-allow-credentials")).toBeNull();
  expect(seen).toEqual([]);
});

it("is found by a host name of its own, where every path is the port's, also those of the API", async () => {
  const token = await tokenOf();
  const request = openRequest(`${server.listener.url}/v1/agents`, {
    headers: { host: `${token.toUpperCase()}.localhost:1`, cookie: "own=1", authorization: "Bearer secret" },
  });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.resume();
  expect(response.statusCode).toBe(200);
  expect(seen[0]?.url).toBe("/v1/agents");
  expect(seen[0]?.headers.cookie).toBe("own=1");
  expect(seen[0]?.headers.authorization).toBeUndefined();
});

it("ends what it carries with its token, and takes so many at a time", async () => {
  const url = `${server.listener.url}/preview/${await tokenOf(portInside(), inSeconds(2))}/`;
  serve = (_incoming, outgoing) => {
    const timer = setInterval(() => outgoing.write("."), 50);
    outgoing.on("close", () => clearInterval(timer));
  };
  const response = await fetch(url);
  await expect(response.text()).rejects.toThrow();
  expect(await codeOf(await fetch(url))).toEqual([410, "expired"]);
  const many = await urlOf();
  const controller = new AbortController();
  const held = Array.from({ length: 64 }, () => fetch(many, { signal: controller.signal }));
  await eventually(() => Promise.resolve(connections === 64));
  expect(await codeOf(await fetch(many))).toEqual([429, "too_many"]);
  controller.abort();
  await Promise.allSettled(held);
  await eventually(() => Promise.resolve(connections === 0));
  serve = (_incoming, outgoing) => outgoing.end("hello");
  expect(await (await fetch(many)).text()).toBe("hello");
});

it("is signed with one key, whichever server made it first", async () => {
  const make = () =>
    createPreviews({ database: database.database, ports: { connect: () => connectTo(1) }, log: silentLog });
  await database.database.updateTable("installation").set({ preview_key: null }).execute();
  const target = { ...owner, port: 80, expiresAt: inSeconds(60) };
  const tokens = await Promise.all(Array.from({ length: 5 }, () => make().create(target)));
  expect(new Set(tokens).size).toBe(1);
  expect(await make().open(tokens[0] ?? "")).toMatchObject(target);
  await database.database.updateTable("installation").set({ preview_key: null }).execute();
  expect(await make().open(tokens[0] ?? "")).toBe("unknown");
});

/** The answer to a WebSocket's beginning, with what came behind its head. */
async function upgrade(url: string): Promise<{ socket: Socket; head: string; rest: string }> {
  const { hostname, port, pathname, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  const headers = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Origin: null"];
  socket.write([`GET ${pathname} HTTP/1.1`, `Host: ${host}`, ...headers, "", ""].join("\r\n"));
  let text = "";
  while (!/\r\n\r\n[^]/.test(text)) text += String((await once(socket, "data"))[0]);
  const end = text.indexOf("\r\n\r\n");
  return { socket, head: text.slice(0, end), rest: text.slice(end + 4) };
}
