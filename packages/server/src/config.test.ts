import { inspect } from "node:util";
import { expect, test } from "vitest";
import { defaultHome, readConfig, Secret } from "./config.ts";
import { StartupError } from "./errors.ts";

test("without variables everything has a default", () => {
  expect(readConfig({ PATH: "/bin", EXOLOOP_PORT: " " })).toEqual({
    home: defaultHome(),
    host: "127.0.0.1",
    port: 4600,
    publicUrl: null,
    databaseUrl: null,
    blobs: { location: { type: "directory", path: `${defaultHome()}/blobs` } },
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
    approvalSeconds: 604_800,
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
    EXOLOOP_PUBLIC_URL: "https://agents.example.com/",
    EXOLOOP_SANDBOX: "weak",
    EXOLOOP_SANDBOX_PROVIDER: "gvisor",
    EXOLOOP_SANDBOX_IDLE_SECONDS: "30",
    EXOLOOP_SANDBOX_POOL: "0",
    EXOLOOP_SANDBOX_MEMORY_MB: "512",
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
    sandboxes: { provider: "gvisor", idleSeconds: 30, pool: 0, memoryMegabytes: 512, cpus: 2 },
    logLevel: "debug",
    defaultModel: "scripted",
    models: { catalog: "/etc/exoloop/models.json", firstPartTimeoutMs: 20_000, nextPartTimeoutMs: 60_000 },
  });
  expect(config.databaseUrl?.reveal()).toBe("postgres://u:p@h/d?sslmode=require");
  expect(config.publicUrl?.href).toBe("https://agents.example.com/");
  expect(config.openai.baseUrl).toBe("http://127.0.0.1:8000/v1");
});

test("all problems are told at once, each with its variable, and none with a secret", () => {
  const broken = () =>
    readConfig({
      EXOLOOP_HOME: "relative/home",
      EXOLOOP_HOST: "http://x",
      EXOLOOP_PORT: "70000",
      EXOLOOP_SANDBOX: "strong",
      EXOLOOP_SANDBOX_PROVIDER: "docker",
      EXOLOOP_SANDBOX_IDLE_SECONDS: "0",
      EXOLOOP_SANDBOX_POOL: "33",
      EXOLOOP_CONCURRENCY: "-1",
      EXOLOOP_WORKER_TIMEOUT_SECONDS: "0",
      EXOLOOP_LOG_LEVEL: "loud",
      EXOLOOP_MODEL_CATALOG: "catalog.json",
      EXOLOOP_MODEL_NEXT_PART_SECONDS: "0",
      DATABASE_URL: "mysql://user:hunter2@host/x",
      ANTHROPIC_API_KEY: "hunter3 with a space",
      ANTHROPIC_BASE_URL: "api.example.com",
      EXOLOOP_PUBLIC_URL: "https://agents:hunter4@example.com/",
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
    "SANDBOX_PROVIDER",
    "SANDBOX_IDLE_SECONDS",
    "SANDBOX_POOL",
    "CONCURRENCY",
    "WORKER_TIMEOUT_SECONDS",
    "LOG_LEVEL",
    "MODEL_CATALOG",
    "MODEL_NEXT_PART_SECONDS",
  ])
    expect(message).toContain(`EXOLOOP_${name} is "`);
  for (const name of ["DATABASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "EXOLOOP_PUBLIC_URL"])
    expect(message).toContain(`${name} `);
  expect(message).toContain("EXOLOOP_PROT is not known: did you mean EXOLOOP_PORT?");
  expect(message).not.toMatch(/hunter/);
  expect(message.split("\n")).toHaveLength(18);
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

test("blobs are in a directory or in a bucket, whose keys are never shown", () => {
  expect(readConfig({ EXOLOOP_BLOBS: "/srv/blobs/" }).blobs).toEqual({
    location: { type: "directory", path: "/srv/blobs" },
  });
  const keys = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "hunter5" };
  const EXOLOOP_BLOBS = "s3://my-bucket/a/b/?endpoint=https://s3.example.com:9000/&region=eu-1";
  const { blobs } = readConfig({ EXOLOOP_BLOBS, ...keys });
  expect(blobs.location).toEqual({
    type: "s3",
    bucket: "my-bucket",
    prefix: "a/b/",
    region: "eu-1",
    endpoint: "https://s3.example.com:9000",
  });
  expect("credentials" in blobs && blobs.credentials.secretAccessKey.reveal()).toBe("hunter5");
  expect(inspect(blobs, { depth: 9 }) + JSON.stringify(blobs)).not.toMatch(/hunter5|AKIDEXAMPLE/);
  const withoutKeys = /AWS_ACCESS_KEY_ID is not set[\s\S]*AWS_SECRET_ACCESS_KEY is not set/;
  expect(() => readConfig({ EXOLOOP_BLOBS })).toThrow(withoutKeys);
  const refused: readonly (readonly [string, RegExp])[] = [
    ["relative/path", /absolute path on a disk/],
    ["/proc/blobs", /absolute path on a disk/],
    ["s3://bucket/prefix", /needs a region, or an endpoint/],
    ["s3://key:hunter6@bucket?region=eu-1", /AWS_ACCESS_KEY_ID/],
    ["s3://Bad_Bucket?region=eu-1", /name that no bucket can have/],
    ["s3://bucket/../x%20y?region=eu-1", /its prefix may hold/],
    ["s3://bucket?region=eu-1&colour=red", /not "colour"/],
    ["s3://bucket?region=EU 1", /its region/],
    ["s3://bucket?endpoint=ftp://x", /its endpoint/],
  ];
  for (const [text, problem] of refused) {
    const read = () => readConfig({ EXOLOOP_BLOBS: text, ...keys });
    expect(read).toThrow(problem);
    expect(read).not.toThrow(/hunter/);
  }
});
