import { createServer } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { listen } from "./listen.ts";
import { app } from "./testing-refusals.ts";

const http = { app, closeStreams: () => undefined };

test("a port in use is one sentence that names the remedy", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await expect(listen(http, "127.0.0.1", port)).rejects.toMatchObject({
    name: "StartupError",
    message: `Port ${port} is already in use: stop the program that uses it, or choose another one with EXOLOOP_PORT.`,
  });
  other.close();
});

test("an address of another machine is refused by name", async () => {
  await expect(listen(http, "192.0.2.1", 0)).rejects.toMatchObject({
    name: "StartupError",
    message: /192\.0\.2\.1.*EXOLOOP_HOST/,
  });
});

test("a body that is too large is refused while it is still being sent, and the next request works", async () => {
  const listener = await listen(http, "127.0.0.1", 0);
  const headers = { authorization: "Bearer good", "content-type": "application/json" };
  const refused = await fetch(`${listener.url}/v1/agents`, {
    method: "POST",
    headers,
    body: "x".repeat(3 * 1024 * 1024),
  });
  expect(await refused.json()).toMatchObject({ error: { code: "body_too_large" } });
  expect((await fetch(`${listener.url}/health`)).status).toBe(200);
  await listener.stop(100);
  await expect(fetch(`${listener.url}/health`)).rejects.toThrow();
});
