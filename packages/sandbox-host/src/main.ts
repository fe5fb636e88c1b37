/**
 * The sandbox host daemon: `node main.ts --directory DIR [--sandbox auto|weak] [--owner-uid N]`. The only privileged code of
 * Exoloop. Ending it, however it ends, leaves its sandboxes and their commands running; the next one takes them over.
 *
 * Its first line on standard output is JSON: `{"ready":true}`, or `{"ready":false,"message":…,"remedy":…}`.
 * @module
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { SandboxCapabilities } from "@exoloop/sandbox/contract";
import { type SuspendKind, hasResourceLimits, removeHostGroups } from "./cgroups.ts";
import { type HostConfiguration, type HostMode, configureHost } from "./configuration.ts";
import { createSandboxRegistry } from "./registry.ts";
import { testWalls } from "./self-test.ts";
import { describeFailure, listenForRequests } from "./server.ts";

interface Arguments {
  readonly directory: string;
  readonly mode: HostMode;
  readonly suspend?: SuspendKind;
  readonly ownerUserId?: number;
}

const suspendKinds: readonly SuspendKind[] = ["cgroup-v2", "cgroup-v1", "signal"];

/** @throws Error naming the argument. */
function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      directory: { type: "string" },
      sandbox: { type: "string", default: "auto" },
      suspend: { type: "string" },
      "owner-uid": { type: "string" },
    },
  });
  const { directory, sandbox } = values;
  const suspend = suspendKinds.find((kind) => kind === values.suspend);
  const owner = values["owner-uid"];
  if (directory === undefined || !directory.startsWith("/")) throw new Error("--directory needs an absolute path");
  if (sandbox !== "auto" && sandbox !== "weak") throw new Error("--sandbox is auto or weak");
  if (values.suspend !== undefined && suspend === undefined)
    throw new Error(`--suspend is one of ${suspendKinds.join(", ")}`);
  if (owner !== undefined && !/^\d{1,10}$/.test(owner)) throw new Error("--owner-uid is a number");
  return {
    directory,
    mode: sandbox,
    ...(suspend === undefined ? {} : { suspend }),
    ...(owner === undefined ? {} : { ownerUserId: Number(owner) }),
  };
}

/** One daemon per directory: the kernel drops the name when its holder ends, however it ends. */
async function lockDirectory(directory: string): Promise<void> {
  const name = createHash("sha256").update(realpathSync(directory)).digest("hex").slice(0, 32);
  await new Promise<void>((resolve, reject) => {
    const lock = createServer((socket) => socket.destroy());
    lock.once("error", () => reject(new Error("a sandbox host already runs on this directory")));
    lock.listen(`\0exoloop-host-${name}`, () => resolve(void lock.unref()));
  });
}

function describeCapabilities(configuration: HostConfiguration): SandboxCapabilities {
  return {
    suspend: configuration.cgroups.kind,
    isolation: configuration.mode === "weak" ? "weak" : "namespaces",
    ownUserId: configuration.userIds !== null,
    resourceLimits: hasResourceLimits(configuration.cgroups),
    consistentSnapshots: true,
    reattach: true,
  };
}

function describeSandbox(mode: HostMode): string {
  if (mode === "auto") {
    return "A Linux sandbox without network. /workspace is yours and is kept; /tmp and the home directory are not.";
  }
  return (
    "A weakly confined Linux user without network. $WORKSPACE, $SKILLS and $MEMORY name the real directories that the" +
    " file tools know as /workspace, /skills and /memory: use the variables in commands. They are all that can be written."
  );
}

/** What is of no use once no sandbox is left. */
function tidy(configuration: HostConfiguration): void {
  removeHostGroups(configuration.cgroups);
  const empty = readdirSync(configuration.sandboxesDirectory).length === 0;
  if (empty && configuration.relocated) rmSync(dirname(configuration.sandboxesDirectory), { recursive: true });
}

async function run(): Promise<void> {
  const { directory, mode, suspend, ownerUserId } = readArguments();
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  await lockDirectory(directory);
  const configuration = configureHost(directory, mode, suspend);
  const registry = createSandboxRegistry(configuration);
  try {
    await registry.adopt();
    await testWalls(configuration, registry);
  } catch (error) {
    tidy(configuration);
    throw error;
  }
  const socketPath = join(directory, "host.sock");
  const processFile = join(directory, "host.pid");
  const end = (): void => {
    rmSync(socketPath, { force: true });
    rmSync(processFile, { force: true });
    tidy(configuration);
    process.exit(0);
  };
  await listenForRequests({
    socketPath,
    registry,
    facts: {
      pid: process.pid,
      mode,
      capabilities: describeCapabilities(configuration),
      sandboxesDirectory: configuration.sandboxesDirectory,
      description: describeSandbox(mode),
    },
    ...(ownerUserId === undefined ? {} : { ownerUserId }),
    onShutdown: () => setTimeout(end, 20),
  });
  writeFileSync(processFile, `${process.pid}\n`, { mode: 0o600 });
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  process.on("SIGHUP", () => {});
  process.stdout.on("error", () => {});
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
}

run().catch((error: unknown) => {
  const { message, remedy = "" } = describeFailure(error);
  process.stdout.write(`${JSON.stringify({ ready: false, message, remedy })}\n`, () => process.exit(1));
});
