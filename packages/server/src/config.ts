/**
 * Configuration: environment variables, read once, all problems told at once. Secrets are wrapped, so that printing or
 * logging a configuration never shows one.
 * @module
 */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { inspect } from "node:util";
import { type BlobsConfig, readBlobsConfig } from "./blobs/blobs-config.ts";
import { type SandboxProviderName, sandboxProviderNames } from "@exoloop/protocol/environments";
import { StartupError } from "./errors.ts";
import { type LogLevel, logLevels } from "./telemetry/logger.ts";

/** A text that is only had by asking for it. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return "[secret]";
  }
  toJSON(): string {
    return "[secret]";
  }
  [inspect.custom](): string {
    return "[secret]";
  }
}

export const sandboxChoices = ["auto", "weak", "none"] as const;
export type SandboxChoice = (typeof sandboxChoices)[number];

/** Of each session's sandbox. */
export interface SandboxSettings {
  /** Where sessions run that name no provider. */
  readonly provider: SandboxProviderName;
  /** Without use for so long, a sandbox is put away: its workspace is kept. */
  readonly idleSeconds: number;
  /** Sandboxes that are kept ready. */
  readonly pool: number;
  readonly memoryMegabytes: number;
  readonly cpus: number;
  readonly processes: number;
  readonly diskMegabytes: number;
  readonly files: number;
}

export interface ProviderConfig {
  readonly apiKey: Secret | null;
  /** Without a trailing slash. */
  readonly baseUrl: string | null;
}

export interface Config {
  /** Everything this machine keeps: the embedded database, blobs, sandboxes. */
  readonly home: string;
  readonly host: string;
  readonly port: number;
  /** Scheme, name and port at which people reach this server, where that is not `host` and `port`: behind a proxy. */
  readonly publicUrl: URL | null;
  /** Null: the embedded Postgres under `home`. */
  readonly databaseUrl: Secret | null;
  /** Where snapshots of workspaces are kept. */
  readonly blobs: BlobsConfig<Secret>;
  readonly sandbox: SandboxChoice;
  readonly sandboxes: SandboxSettings;
  /** Turns at a time in this process. */
  readonly concurrency: number;
  /** How long a call of the model waits for its approval. */
  readonly approvalSeconds: number;
  /** Silence after which a worker is taken for dead and its turns are given to others. */
  readonly workerTimeoutSeconds: number;
  readonly logLevel: LogLevel;
  readonly anthropic: ProviderConfig;
  readonly openai: ProviderConfig;
  readonly defaultModel: string | null;
  readonly models: ModelSettings;
}

export interface ModelSettings {
  /** A file of windows and prices that override the built-in ones. */
  readonly catalog: string | null;
  /** Longest silence of a model before its answer begins, and within it. Milliseconds. */
  readonly firstPartTimeoutMs: number;
  readonly nextPartTimeoutMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Every variable of ours; others that begin with EXOLOOP_ are mistakes. */
const ownVariables = [
  "EXOLOOP_HOME",
  "EXOLOOP_HOST",
  "EXOLOOP_PORT",
  "EXOLOOP_PUBLIC_URL",
  "EXOLOOP_BLOBS",
  "EXOLOOP_SANDBOX",
  "EXOLOOP_SANDBOX_PROVIDER",
  "EXOLOOP_SANDBOX_IDLE_SECONDS",
  "EXOLOOP_SANDBOX_POOL",
  "EXOLOOP_SANDBOX_MEMORY_MB",
  "EXOLOOP_SANDBOX_CPUS",
  "EXOLOOP_SANDBOX_PROCESSES",
  "EXOLOOP_SANDBOX_DISK_MB",
  "EXOLOOP_SANDBOX_FILES",
  "EXOLOOP_CONCURRENCY",
  "EXOLOOP_WORKER_TIMEOUT_SECONDS",
  "EXOLOOP_APPROVAL_SECONDS",
  "EXOLOOP_LOG_LEVEL",
  "EXOLOOP_DEFAULT_MODEL",
  "EXOLOOP_MODEL_CATALOG",
  "EXOLOOP_MODEL_FIRST_PART_SECONDS",
  "EXOLOOP_MODEL_NEXT_PART_SECONDS",
  // Read by the command line, which talks to a server.
  "EXOLOOP_URL",
  "EXOLOOP_API_KEY",
  "EXOLOOP_WEBHOOK_SECRET",
];

/**
 * Reads the configuration. An empty variable counts as not set.
 * @throws StartupError with one line for each problem, each naming its variable.
 * @example const config = readConfig(process.env);
 */
export function readConfig(environment: Environment): Config {
  const problems: string[] = unknownVariables(environment);
  const read = createReader(environment, problems);
  const home = read.directory("EXOLOOP_HOME", defaultHome);
  const config: Config = {
    home,
    host: read.host("EXOLOOP_HOST", "127.0.0.1"),
    port: read.integer("EXOLOOP_PORT", 4600, 0, 65_535),
    publicUrl: read.origin("EXOLOOP_PUBLIC_URL"),
    databaseUrl: read.databaseUrl("DATABASE_URL"),
    blobs: readBlobsConfig(read, join(home, "blobs"), problems),
    sandbox: read.choice("EXOLOOP_SANDBOX", sandboxChoices, "auto"),
    sandboxes: {
      provider: read.choice("EXOLOOP_SANDBOX_PROVIDER", sandboxProviderNames, "local"),
      idleSeconds: read.integer("EXOLOOP_SANDBOX_IDLE_SECONDS", 600, 1, 2_592_000),
      pool: read.integer("EXOLOOP_SANDBOX_POOL", 2, 0, 32),
      memoryMegabytes: read.integer("EXOLOOP_SANDBOX_MEMORY_MB", 2048, 64, 1_048_576),
      cpus: read.integer("EXOLOOP_SANDBOX_CPUS", 2, 1, 1024),
      processes: read.integer("EXOLOOP_SANDBOX_PROCESSES", 512, 16, 100_000),
      diskMegabytes: read.integer("EXOLOOP_SANDBOX_DISK_MB", 4096, 16, 16_777_216),
      files: read.integer("EXOLOOP_SANDBOX_FILES", 1_000_000, 1000, 100_000_000),
    },
    concurrency: read.integer("EXOLOOP_CONCURRENCY", 16, 0, 1000),
    workerTimeoutSeconds: read.integer("EXOLOOP_WORKER_TIMEOUT_SECONDS", 3, 1, 600),
    approvalSeconds: read.integer("EXOLOOP_APPROVAL_SECONDS", 604_800, 1, 31_536_000),
    logLevel: read.choice("EXOLOOP_LOG_LEVEL", logLevels, "info"),
    anthropic: { apiKey: read.secret("ANTHROPIC_API_KEY"), baseUrl: read.webAddress("ANTHROPIC_BASE_URL") },
    openai: { apiKey: read.secret("OPENAI_API_KEY"), baseUrl: read.webAddress("OPENAI_BASE_URL") },
    defaultModel: read.text("EXOLOOP_DEFAULT_MODEL"),
    models: {
      catalog: read.file("EXOLOOP_MODEL_CATALOG"),
      firstPartTimeoutMs: 1000 * read.integer("EXOLOOP_MODEL_FIRST_PART_SECONDS", 300, 1, 3600),
      nextPartTimeoutMs: 1000 * read.integer("EXOLOOP_MODEL_NEXT_PART_SECONDS", 60, 1, 3600),
    },
  };
  if (problems.length > 0)
    throw new StartupError(
      `The configuration cannot be used:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
    );
  return config;
}

/**
 * Root's own home is closed to everybody else (mode 0700), and the embedded Postgres and the sandboxes run as other
 * users: they could not enter a directory in it.
 */
export function defaultHome(): string {
  return process.getuid?.() === 0 ? "/var/lib/exoloop" : join(homedir(), ".exoloop");
}

/** Reads one variable at a time; a problem is added to the list, and the default stands in until all are told. */
function createReader(environment: Environment, problems: string[]) {
  const text = (name: string): string | null => {
    const value = environment[name]?.trim();
    return value === undefined || value === "" ? null : value;
  };
  return {
    text,
    secret: (name: string) => readSecret(name, text(name), problems),
    integer(name: string, standard: number, least: number, most: number): number {
      const value = text(name);
      if (value === null) return standard;
      const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
      if (number >= least && number <= most) return number;
      problems.push(`${name} is ${quote(value)}: it must be a whole number from ${least} to ${most}.`);
      return standard;
    },
    choice<Choice extends string>(name: string, choices: readonly Choice[], standard: Choice): Choice {
      const value = text(name);
      const found = value === null ? standard : choices.find((choice) => choice === value);
      if (found !== undefined) return found;
      problems.push(`${name} is ${quote(value ?? "")}: it must be one of ${choices.join(", ")}.`);
      return standard;
    },
    host: (name: string, standard: string) => readHost(name, text(name), problems) ?? standard,
    directory(name: string, standard: () => string): string {
      const value = text(name);
      if (value !== null && !isAbsolute(value)) {
        problems.push(`${name} is ${quote(value)}: it must be an absolute path.`);
        return standard();
      }
      // Making directories there does not fail, it never ends.
      if (value !== null && /^\/(proc|sys|dev)(\/|$)/.test(resolve(value))) {
        problems.push(`${name} is ${quote(value)}: it must be on a disk.`);
        return standard();
      }
      return resolve(value ?? standard());
    },
    file: (name: string) => readFilePath(name, text(name), problems),
    databaseUrl(name: string): Secret | null {
      const value = text(name);
      // No URL parser: `postgres://user:password@/name?host=/run/postgresql` is valid for the driver alone.
      if (value === null || /^postgres(ql)?:\/\/\S+$/.test(value)) return value === null ? null : new Secret(value);
      problems.push(`${name} is not an address like postgres://user:password@host:5432/name.`);
      return null;
    },
    origin: (name: string) => readOrigin(name, text(name), problems),
    webAddress(name: string): string | null {
      const value = text(name);
      if (value === null) return null;
      if (/^https?:$/.test(URL.parse(value)?.protocol ?? "")) return value.replace(/\/+$/, "");
      // Not shown: an address may hold a password.
      problems.push(`${name} is not an address like https://api.example.com/v1.`);
      return null;
    },
  };
}

function readHost(name: string, value: string | null, problems: string[]): string | null {
  if (value === null || /^[a-z0-9.:%-]{1,253}$/i.test(value)) return value;
  problems.push(`${name} is ${quote(value)}: it must be a host name or an address, without scheme and port.`);
  return null;
}

function readFilePath(name: string, value: string | null, problems: string[]): string | null {
  if (value === null || isAbsolute(value)) return value;
  problems.push(`${name} is ${quote(value)}: it must be an absolute path.`);
  return null;
}

function readOrigin(name: string, value: string | null, problems: string[]): URL | null {
  const url = value === null ? null : URL.parse(value);
  if (value === null || (url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`)) return url;
  // Not shown: an address may hold a password.
  problems.push(`${name} is not an address like https://agents.example.com, without path, user and password.`);
  return null;
}

function readSecret(name: string, value: string | null, problems: string[]): Secret | null {
  if (value !== null && /[^\x21-\x7e]/.test(value)) {
    problems.push(`${name} contains a space or a character outside ASCII: check how it was copied.`);
  }
  return value === null ? null : new Secret(value);
}

function quote(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

function unknownVariables(environment: Environment): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith("EXOLOOP_") && !ownVariables.includes(name))
    .sort()
    .map((name) => `${name} is not known: did you mean ${nearest(name, ownVariables)}?`);
}

function nearest(name: string, candidates: readonly string[]): string {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((left, right) => left.distance - right.distance);
  return best?.candidate ?? "";
}

/** Levenshtein distance: insertions, deletions and replacements that turn one text into the other. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
