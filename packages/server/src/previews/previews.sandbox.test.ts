/** Previews of a real server in a real sandbox: it sleeps until somebody looks, and again when nobody does. */
import { once } from "node:events";
import { connect } from "node:net";
import { findRunsc } from "@exoloop/sandbox-host/machine-programs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog, startTestServer, type TestServer } from "../http/testing.ts";
import { createPorts } from "../sandboxes/background/ports.ts";
import { startBackground } from "../sandboxes/background/start.ts";
import { endDueLeases } from "../sandboxes/life/leases.ts";
import { killSandbox } from "../sandboxes/life/end.ts";
import { eventually, type SandboxTest, startSandboxTest } from "../sandboxes/testing.ts";
import type { SandboxOwner } from "../sandboxes/workspace.ts";
import { createPreviews, type Previews } from "./previews.ts";
import { createPreviewProxy } from "./proxy.ts";
import { perlServer } from "./testing.ts";

const quietMs = 400;
const withoutGvisor = findRunsc() === null;
if (withoutGvisor) process.stderr.write("gVisor is not tested: node scripts/setup/gvisor.mjs fetches it\n");

const runtimes = (["bubblewrap", "gvisor"] as const).filter((runtime) => runtime === "bubblewrap" || !withoutGvisor);

describe.each(runtimes)("a preview of a sandbox of %s", (runtime) => {
  let world: SandboxTest;
  let server: TestServer;
  let previews: Previews;
  beforeAll(async () => {
    world = await startSandboxTest(runtime);
    previews = createPreviews({ database: world.database, ports: createPorts(world.base, quietMs), log: silentLog });
    server = await startTestServer({ previews: createPreviewProxy(previews, silentLog) });
  });
  afterAll(async () => {
    await server.stop();
    await world.stop();
  });

  /** A session whose sandbox listens, and the address of that. */
  async function startServing(port = 8_000): Promise<{ owner: SandboxOwner; url: string }> {
    const owner = await world.createOwner();
    const worker = world.worker();
    const request = { commandId: "server", command: perlServer(port), seconds: 600, reattach: false };
    expect((await startBackground(worker, owner, request)).type).toBe("started");
    await worker.workspaces.settle();
    const expiresAt = Math.floor(Date.now() / 1000) + 60;
    const url = `${server.listener.url}/preview/${await previews.create({ ...owner, port, expiresAt })}/`;
    await eventually(async () => (await fetch(url)).ok);
    return { owner, url };
  }

  async function expire(owner: SandboxOwner): Promise<void> {
    await world.database
      .updateTable("sandbox_leases")
      .set({ until: new Date(0) })
      .where("session_id", "=", owner.sessionId)
      .execute();
    await endDueLeases(world.base, () => Promise.resolve());
  }

  it("thaws for a request though the lease is over, and sleeps again when it is quiet", async () => {
    const { owner, url } = await startServing();
    await expire(owner);
    await eventually(async () => !(await world.isAwake(owner)));
    const response = await fetch(`${url}some/where?q=1`, {
      method: "POST",
      body: "x".repeat(300_000),
      signal: AbortSignal.timeout(20_000),
    });
    expect(await response.text()).toBe("POST /some/where?q=1 300000");
    expect(await world.isAwake(owner)).toBe(true);
    await eventually(async () => !(await world.isAwake(owner)));
  });

  it("carries a WebSocket's bytes, whose silence lets the sandbox sleep", async () => {
    const { owner, url } = await startServing();
    await expire(owner);
    const { hostname, port, pathname } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.setTimeout(20_000, () => socket.destroy(new Error("nothing came")));
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1.1 101 /);
    for (const line of ["one\n", "two\n"]) {
      socket.write(line);
      expect(String((await once(socket, "data"))[0])).toBe(`echo ${line}`);
      await eventually(async () => !(await world.isAwake(owner)));
    }
    socket.destroy();
  });

  it("tells a port on which nothing listens from a sandbox that is gone", async () => {
    const { owner, url } = await startServing();
    const expiresAt = Math.floor(Date.now() / 1000) + 60;
    const silent = await previews.create({ ...owner, port: 8_001, expiresAt });
    expect((await fetch(`${server.listener.url}/preview/${silent}/`)).status).toBe(502);
    await killSandbox(world.base, owner);
    expect((await fetch(url)).status).toBe(503);
  });
});
