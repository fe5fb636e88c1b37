import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { StartupError } from "./errors.ts";
import { startExoloop } from "./launch.ts";
import { startServer } from "./main.ts";
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
