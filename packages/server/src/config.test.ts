import { inspect } from "node:util";
import { expect, test } from "vitest";
import { defaultHome, readConfig, Secret } from "./config.ts";
import { StartupError } from "./errors.ts";

test("without variables everything has a default", () => {
  expect(readConfig({ PATH: "/bin", EXOLOOP_PORT: " " })).toEqual({
    home: defaultHome(),
    host: "127.0.0.1",
    port: 4600,
    databaseUrl: null,
    sandbox: "auto",
    sandboxes: {
      provider: "local",
      idleSeconds: 600,
      pool: 2,
      memoryMegabytes: 2048,
      cpus: 2,
      processes: 512,
      diskMegabytes: 4096,
      files: 1_000_000,
    },
    concurrency: 16,
    workerTimeoutSeconds: 3,
    logLevel: "info",
    anthropic: { apiKey: null, baseUrl: null },
    openai: { apiKey: null, baseUrl: null },
    defaultModel: null,
    models: { catalog: null, firstPartTimeoutMs: 300_000, nextPartTimeoutMs: 60_000 },
  });
});

test("variables replace the defaults", () => {
  const config = readConfig({
    EXOLOOP_HOME: "/srv/exoloop/",
    EXOLOOP_PORT: "0",
    EXOLOOP_SANDBOX: "weak",
    EXOLOOP_LOG_LEVEL: "debug",
    DATABASE_URL: "postgres://u:p@h/d?sslmode=require",
    OPENAI_BASE_URL: "http://127.0.0.1:8000/v1/",
    EXOLOOP_DEFAULT_MODEL: "scripted",
    EXOLOOP_MODEL_CATALOG: "/etc/exoloop/models.json",
    EXOLOOP_MODEL_FIRST_PART_SECONDS: "20",
  });
  expect(config).toMatchObject({
    home: "/srv/exoloop",
    port: 0,
    sandbox: "weak",
    logLevel: "debug",
    defaultModel: "scripted",
    models: { catalog: "/etc/exoloop/models.json", firstPartTimeoutMs: 20_000, nextPartTimeoutMs: 60_000 },
  });
  expect(config.databaseUrl?.reveal()).toBe("postgres://u:p@h/d?sslmode=require");
  expect(config.openai.baseUrl).toBe("http://127.0.0.1:8000/v1");
});

test("all problems are told at once, each with its variable, and none with a secret", () => {
  const broken = () =>
    readConfig({
      EXOLOOP_HOME: "relative/home",
      EXOLOOP_HOST: "http://x",
      EXOLOOP_PORT: "70000",
      EXOLOOP_SANDBOX: "strong",
      EXOLOOP_CONCURRENCY: "-1",
      EXOLOOP_WORKER_TIMEOUT_SECONDS: "0",
      EXOLOOP_LOG_LEVEL: "loud",
      EXOLOOP_MODEL_CATALOG: "catalog.json",
      EXOLOOP_MODEL_NEXT_PART_SECONDS: "0",
      DATABASE_URL: "mysql://user:hunter2@host/x",
      ANTHROPIC_API_KEY: "hunter3 with a space",
      ANTHROPIC_BASE_URL: "api.example.com",
      EXOLOOP_PROT: "1",
    });
  const error = (() => {
    try {
      broken();
    } catch (thrown) {
      return thrown;
    }
    return null;
  })();
  expect(error).toBeInstanceOf(StartupError);
  const message = error instanceof Error ? error.message : "";
  for (const name of [
    "HOME",
    "HOST",
    "PORT",
    "SANDBOX",
    "CONCURRENCY",
    "WORKER_TIMEOUT_SECONDS",
    "LOG_LEVEL",
    "MODEL_CATALOG",
    "MODEL_NEXT_PART_SECONDS",
  ])
    expect(message).toContain(`EXOLOOP_${name} is "`);
  for (const name of ["DATABASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"]) expect(message).toContain(`${name} `);
  expect(message).toContain("EXOLOOP_PROT is not known: did you mean EXOLOOP_PORT?");
  expect(message).not.toMatch(/hunter/);
  expect(message.split("\n")).toHaveLength(14);
});

test("a secret shows itself only when asked", () => {
  const config = readConfig({ OPENAI_API_KEY: "sk-hidden", DATABASE_URL: "postgres://u:hidden@h/d" });
  expect(inspect(config, { depth: 9, showHidden: true })).not.toContain("hidden");
  expect(JSON.stringify(config)).not.toContain("hidden");
  expect(`${config.openai.apiKey}`).toBe("[secret]");
  expect({ ...new Secret("hidden") }).toEqual({});
  expect(config.openai.apiKey?.reveal()).toBe("sk-hidden");
});

test("a home that is on no disk is refused", () => {
  for (const home of ["/proc/none", "/sys", "/tmp/../dev/x"]) {
    expect(() => readConfig({ EXOLOOP_HOME: home })).toThrow("EXOLOOP_HOME");
  }
  expect(readConfig({ EXOLOOP_HOME: "/process" }).home).toBe("/process");
});
