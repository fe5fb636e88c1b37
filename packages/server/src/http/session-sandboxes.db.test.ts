/** Sessions' sandboxes over the API: a real database, the client, sandboxes in memory. */
import Anthropic from "@anthropic-ai/sdk";
import { createClient } from "@exoloop/client/client";
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSandboxRoom, type SandboxRoom } from "../sandboxes/room.ts";
import { createSessionSandboxes } from "../sandboxes/session-sandboxes.ts";
import { createMemoryBlobs } from "../sandboxes/snapshots/testing.ts";
import { eventually } from "../sandboxes/testing.ts";
import { createLogger } from "../telemetry/logger.ts";
import { startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
let room: SandboxRoom;
beforeAll(async () => {
  const [memory, other] = [createMemoryProvider({ id: "memory" }), createMemoryProvider({ id: "other" })];
  const withPorts = { ...other, capabilities: { ...other.capabilities, ports: true } };
  server = await startTestServer({
    openRoom: async (parts) =>
      (room = await openSandboxRoom({
        ...parts,
        log: createLogger("silent"),
        blobs: createMemoryBlobs().store,
        providers: new Map([memory, withPorts].map((provider) => [provider.id, provider])),
        defaultProvider: "memory",
        resources: { memoryBytes: 2 ** 28, processes: 64, cpus: 1.5, diskBytes: 2 ** 26, files: 10_000 },
        projectionOf: () => ({ before: () => Promise.resolve(), after: () => Promise.resolve(null) }),
      })),
  });
});
afterAll(() => server.stop());

async function startSession() {
  const { apiKey, principal } = await server.newOrganization();
  const client = createClient({ baseUrl: server.listener.url, apiKey });
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey });
  const agent = await sdk.beta.agents.create({ name: "a", model: "scripted/none" });
  const environment = await sdk.beta.environments.create({ name: "e" });
  const { id } = await client.sessions.create({ agent: agent.id, environment_id: environment.id });
  const owner = { sessionId: id, organizationId: principal.organizationId };
  const start = (commandId: string, command: string) =>
    room.background.start(owner, { commandId, command, seconds: 600, reattach: false });
  return { client, id, owner, start, apiKey, principal };
}

const refusal = (call: Promise<unknown>) =>
  call.then(
    () => "none",
    (error: { status: number; code: string }) => `${error.status} ${error.code}`,
  );
const textOf = ({ bytes }: { bytes: Uint8Array }) => Buffer.from(bytes).toString();

test("a sandbox is shown before it is there, while it lives, and when it was killed", async () => {
  const { client, id, start } = await startSession();
  expect(await client.sandboxes.retrieve(id)).toMatchObject({ sandbox_id: null, state: "none", provider: "memory" });
  expect(await client.sandboxes.kill(id)).toEqual({ type: "sandbox_kill", session_id: id, killed: false });
  await start("server", "echo up; sleep 60");
  expect(await client.sandboxes.retrieve(id)).toMatchObject({
    type: "sandbox",
    session_id: id,
    generation: 1,
    state: "awake",
    capabilities: { suspend: "simulated", isolation: "none", ports: false },
    limits: { memory_bytes: 2 ** 28, processes: 64, cpus: 1.5 },
    leases: [{ command_id: "server", until: expect.stringMatching(/^\d{4}-.*Z$/) }],
    providers: ["memory", "other"],
  });
  expect((await client.sandboxes.kill(id)).killed).toBe(true);
  expect(await client.sandboxes.retrieve(id)).toMatchObject({ sandbox_id: null, state: "gone", leases: [] });
  expect((await client.commands.list(id)).data).toMatchObject([{ id: "server", state: "lost", exit: null }]);
  const { notices } = await client.commands.run(id, { command: "true" });
  expect(notices.join()).toContain("<sandbox_replaced>");
  expect((await client.sandboxes.retrieve(id)).generation).toBe(2);
});

test("a session moves to another provider with its files", async () => {
  const { client, id } = await startSession();
  await client.commands.run(id, { command: "echo kept > file.txt" });
  expect(await refusal(client.sandboxes.move(id, "nowhere"))).toBe("400 invalid_request");
  expect((await client.sandboxes.retrieve(id)).provider).toBe("memory");
  expect(await client.sandboxes.move(id, "other")).toMatchObject({ provider: "other", sandbox_id: null });
  expect((await client.commands.run(id, { command: "cat file.txt" })).output).toBe("kept\n");
  expect(await client.sandboxes.retrieve(id)).toMatchObject({ provider: "other", generation: 2 });
});

test("background commands are listed, read byte by byte, signalled and given more time", async () => {
  const { client, id, start } = await startSession();
  expect((await client.commands.list(id)).data).toEqual([]);
  await start("server", "echo one; echo '<b>'; sleep 60");
  await eventually(async () => (await client.commands.list(id)).data[0]?.output_bytes === 8);
  const [command] = (await client.commands.list(id)).data;
  expect(command).toMatchObject({ type: "background_command", id: "server", session_id: id, state: "running" });
  const first = await client.commands.output(id, "server");
  expect([textOf(first), first.offset, first.nextOffset, first.state]).toEqual(["one\n<b>\n", 0, 8, "running"]);
  expect(textOf(await client.commands.output(id, "server", 4))).toBe("<b>\n");
  expect(await client.commands.output(id, "server", 8)).toMatchObject({ nextOffset: 8, bytes: new Uint8Array() });
  const renewed = await client.commands.renewLease(id, "server", 7_200);
  expect(Date.parse(renewed.until) - Date.now()).toBeGreaterThan(7_100_000);
  expect(await client.commands.signal(id, "server", "SIGKILL")).toEqual({
    type: "command_signal",
    command_id: "server",
    delivered: true,
  });
  await eventually(async () => (await client.commands.list(id)).data[0]?.state === "ended");
  expect((await client.commands.list(id)).data[0]?.exit).toEqual({ type: "signalled", signal: 9 });
  expect((await client.commands.signal(id, "server", "SIGTERM")).delivered).toBe(false);
  await eventually(async () => (await refusal(client.commands.renewLease(id, "server", 60))) === "409 command_ended");
  expect((await client.commands.output(id, "server", 8)).state).toBe("ended");
});

test("output is never a page, whatever a command prints", async () => {
  const { id, start, apiKey } = await startSession();
  await start("server", "echo '<script>'; sleep 60");
  const url = `${server.listener.url}/v1/x/sessions/${id}/commands/server/output`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${apiKey}` } });
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "application/octet-stream",
    "x-content-type-options": "nosniff",
    "content-disposition": expect.stringContaining("attachment"),
  });
});

test("a preview has two addresses and an end; a repeated request with a key makes no second one", async () => {
  const { client, id, apiKey } = await startSession();
  await client.sandboxes.move(id, "other");
  const preview = await client.sandboxes.preview(id, { port: 3_000, seconds: 60 });
  const { port } = server.listener;
  expect(preview.url).toMatch(new RegExp(`^http://127.0.0.1:${port}/preview/[0-9a-z]{63}/$`));
  expect(preview.host_url).toMatch(new RegExp(`^http://[0-9a-z]{63}.localhost:${port}/$`));
  expect(Math.abs(Date.parse(preview.expires_at) - Date.now() - 60_000)).toBeLessThan(2_000);
  // No sandbox yet, and none is made for it.
  expect((await fetch(preview.url)).status).toBe(503);
  expect((await client.sandboxes.retrieve(id)).state).toBe("none");
  const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json", "idempotency-key": "k" };
  const url = `${server.listener.url}/v1/x/sessions/${id}/previews`;
  const ask = async (body: object) =>
    (await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).json();
  const first: unknown = await ask({ port: 3_000 });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect(await ask({ port: 3_000 })).toEqual(first);
  await client.sessions.archive(id);
  expect((await fetch(preview.url)).status).toBe(410);
  expect(await refusal(client.sandboxes.preview(id, { port: 3_000 }))).toBe("400 session_archived");
});

test("a preview is refused where the provider has no ports, also one that was made elsewhere", async () => {
  const { client, id } = await startSession();
  expect(await refusal(client.sandboxes.preview(id, { port: 3_000 }))).toBe("400 unsupported");
  await client.sandboxes.move(id, "other");
  const { url } = await client.sandboxes.preview(id, { port: 3_000 });
  await client.sandboxes.move(id, "memory");
  await client.commands.run(id, { command: "true" });
  const response = await fetch(url);
  expect([response.status, await response.text()]).toEqual([503, expect.stringContaining("unreachable")]);
});

test("a preview is at the public address where the server has one", async () => {
  const { client, id, principal } = await startSession();
  await client.sandboxes.move(id, "other");
  const {
    sessions,
    test: { database },
  } = server;
  const previews = { create: () => Promise.resolve("t0ken") };
  const publicUrl = new URL("https://agents.example.com");
  const sandboxes = createSessionSandboxes({ database, sessions, room, previews, publicUrl });
  const asked = { port: 3_000, seconds: 60, origin: new URL(server.listener.url) };
  expect(await sandboxes.preview(principal, id, asked)).toMatchObject({
    url: "https://agents.example.com/preview/t0ken/",
    host_url: "https://t0ken.agents.example.com/",
  });
});

test("what is wrong, not there or another organization's is refused, and changes nothing", async () => {
  const one = await startSession();
  const other = await startSession();
  await one.start("server", "sleep 60");
  const { client } = other;
  const strange = [
    client.sandboxes.retrieve(one.id),
    client.sandboxes.kill(one.id),
    client.sandboxes.move(one.id, "other"),
    client.sandboxes.preview(one.id, { port: 80 }),
    client.commands.list(one.id),
    client.commands.output(one.id, "server"),
    client.commands.signal(one.id, "server", "SIGKILL"),
    client.commands.renewLease(one.id, "server", 60),
    // Of one's own session, but not its command.
    client.commands.output(other.id, "server"),
    client.commands.signal(other.id, "server", "SIGKILL"),
    client.commands.renewLease(other.id, "server", 60),
  ];
  expect(await Promise.all(strange.map(refusal))).toEqual(strange.map(() => "404 not_found"));
  const mine = one.client;
  const wrong = [
    mine.sandboxes.preview(one.id, { port: 0 }),
    mine.sandboxes.preview(one.id, { port: 65_536 }),
    mine.sandboxes.preview(one.id, { port: 80, seconds: 86_401 }),
    mine.commands.signal(one.id, "server", "SIGSEGV" as "SIGKILL"),
    mine.commands.renewLease(one.id, "server", 21_601),
    mine.commands.output(one.id, "server", -1),
    mine.commands.output(one.id, "server", 1.5),
  ];
  expect(await Promise.all(wrong.map(refusal))).toEqual(wrong.map(() => "400 invalid_request"));
  expect((await mine.commands.list(one.id)).data).toMatchObject([{ state: "running" }]);
  expect(await mine.sandboxes.retrieve(one.id)).toMatchObject({ state: "awake", generation: 1, provider: "memory" });
});
