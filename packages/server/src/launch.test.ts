import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { StartupError } from "./errors.ts";
import { startExoloop } from "./launch.ts";
import { startServer } from "./main.ts";
import { superviseServer } from "./server-child.ts";
import type { ServerStart } from "./server-process.ts";
import { createLogger } from "./telemetry/logger.ts";

it("says in one sentence that a home cannot be used", async () => {
  const start = startExoloop({ environment: {}, home: fileURLToPath(import.meta.url), port: 0, sandbox: "none" });
  const error: unknown = await start.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StartupError);
  expect(String(error)).toMatch(/cannot be used \(\w+\): point EXOLOOP_HOME/);
});

it("says in one sentence that no default model is to be had", async () => {
  const config = readConfig({ OPENAI_BASE_URL: "http://127.0.0.1:1/v1" });
  const places = { databaseUrl: "postgres://127.0.0.1:1/none", sandboxSocket: null };
  const error: unknown = await startServer(config, places, createLogger("silent")).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StartupError);
  expect(String(error)).toMatch(/name a model with EXOLOOP_DEFAULT_MODEL/);
});

/** Process ids of servers that this process has started. */
function findServers(): string[] {
  const children = readdirSync(`/proc/self/task`).map((task) => `/proc/self/task/${task}/children`);
  const pids = children.flatMap((path) => readFileSync(path, "utf8").split(" ").filter(Boolean));
  return pids.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("server-process.ts"));
}

it("ends the server that was started meanwhile when there is nothing to serve", async () => {
  const { promise: start, reject } = Promise.withResolvers<never>();
  const options = { environment: {}, userId: undefined, log: createLogger("silent") };
  const serving = superviseServer({ start, ...options });
  await expect.poll(findServers).toHaveLength(1);
  reject(new StartupError("no sandbox host"));
  await expect(serving).rejects.toThrow("no sandbox host");
  expect(findServers()).toEqual([]);
});

it("says that the server ended while what it serves was started", async () => {
  const { promise: start, resolve } = Promise.withResolvers<ServerStart>();
  const options = { environment: { EXOLOOP_PORT: "none" }, userId: undefined, log: createLogger("silent") };
  const serving = superviseServer({ start, ...options });
  await expect.poll(findServers, { timeout: 10_000 }).toEqual([]);
  resolve({ type: "start", databaseUrl: "postgres://127.0.0.1:1/none", sandboxSocket: null });
  await expect(serving).rejects.toThrow(/ended while it started/);
});
