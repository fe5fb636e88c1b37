/**
 * The sandbox host daemon: `node main.ts --directory DIR --programs DIR [--sandbox auto|weak] [--owner-uid N] [--base-root DIR]
 * [--bubblewrap PATH] [--runsc PATH] [--ends-with-input]`.
 * The only privileged code of Exoloop. Ending it, however it ends, leaves its sandboxes and their commands running; the next one takes them over.
 * With `--ends-with-input` it destroys them and ends when its standard input does.
 *
 * Its first line on standard output is JSON: `{"ready":true}`, or `{"ready":false,"message":…,"remedy":…}`.
 * @module
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { SandboxRuntime } from "@exoloop/sandbox/providers/local/host-messages";
import { type SuspendKind, hasCpuLimit, hasResourceLimits, removeHostGroups } from "./cgroup-host.ts";
import {
  type HostConfiguration,
  type HostOptions,
  bubblewrapRemedy,
  configureHost,
  hashName,
} from "./configuration.ts";
import { DiskWatch } from "./disk-watch.ts";
import { bubblewrapLauncher } from "./launch/bubblewrap.ts";
import type { Launcher } from "./launch/launcher.ts";
import { gvisorLauncher } from "./launch/gvisor.ts";
import { weakLauncher } from "./launch/weak.ts";
import { SandboxRegistry } from "./registry.ts";
import { selfTestId, testWalls } from "./self-test-run.ts";
import { describeFailure, listenForRequests } from "./server.ts";
import { SlotKeeper } from "./slots.ts";

const suspendKinds: readonly SuspendKind[] = ["cgroup-v2", "cgroup-v1", "signal"];

/** @throws Error naming the argument. */
function readArguments(): HostOptions {
  const { values } = parseArgs({
    options: {
      directory: { type: "string" },
      programs: { type: "string" },
      sandbox: { type: "string", default: "auto" },
      suspend: { type: "string" },
      "owner-uid": { type: "string" },
      "base-root": { type: "string" },
      "ends-with-input": { type: "boolean", default: false },
      bubblewrap: { type: "string", default: "" },
      runsc: { type: "string", default: "" },
    },
  });
  const { directory, programs, sandbox, bubblewrap, runsc } = values;
  const suspend = suspendKinds.find((kind) => kind === values.suspend);
  const owner = values["owner-uid"];
  if (directory === undefined || !directory.startsWith("/")) throw new Error("--directory needs an absolute path");
  if (programs === undefined || !programs.startsWith("/")) throw new Error("--programs needs an absolute path");
  if (sandbox !== "auto" && sandbox !== "weak") throw new Error("--sandbox is auto or weak");
  if (values.suspend !== undefined && suspend === undefined)
    throw new Error(`--suspend is one of ${suspendKinds.join(", ")}`);
  if (owner !== undefined && !/^\d{1,10}$/.test(owner)) throw new Error("--owner-uid is a number");
  const ownerUserId = owner === undefined ? null : Number(owner);
  const { "base-root": baseRoot = null, "ends-with-input": endsWithInput } = values;
  return { directory, programs, mode: sandbox, suspend, ownerUserId, baseRoot, endsWithInput, bubblewrap, runsc };
}

/** One daemon per directory: the kernel drops the name when its holder ends, however it ends. */
async function lockDirectory(directory: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const lock = createServer((socket) => socket.destroy());
    lock.once("error", () => reject(new Error("a sandbox host already runs on this directory")));
    lock.listen(`\0exoloop-host-${hashName(directory)}`, () => resolve(void lock.unref()));
  });
}

/** @throws SandboxUnavailableError when not even the usual runtime is there. */
function findLaunchers({ mode, bubblewrap, tools }: HostConfiguration): ReadonlyMap<SandboxRuntime, Launcher> {
  if (mode === "weak") return new Map([["bubblewrap", weakLauncher]]);
  if (bubblewrap === "")
    throw new SandboxUnavailableError("bubblewrap is not installed", `Install it: ${bubblewrapRemedy}`);
  const both = [bubblewrapLauncher, gvisorLauncher].slice(0, tools.runsc === "" ? 1 : 2);
  return new Map(both.map((launcher) => [launcher.runtime, launcher]));
}

/** What is of no use once no sandbox is left. */
function tidy(configuration: HostConfiguration): void {
  removeHostGroups(configuration.cgroups);
  const empty = readdirSync(configuration.sandboxesDirectory).length === 0;
  if (empty && configuration.relocated) rmSync(dirname(configuration.sandboxesDirectory), { recursive: true });
}

async function run(): Promise<void> {
  // A log on a full disk, or nobody who reads.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  process.umask(0o022);
  const options = readArguments();
  const { directory, mode, ownerUserId } = options;
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  await lockDirectory(directory);
  const configuration = configureHost(options);
  const { cgroups, sandboxesDirectory, userIds } = configuration;
  const launchers = findLaunchers(configuration);
  const registry = new SandboxRegistry(new SlotKeeper(configuration, launchers));
  const socketPath = join(directory, "host.sock");
  const processFile = join(directory, "host.pid");
  const end = (): void => {
    for (const path of [socketPath, processFile]) rmSync(path, { force: true });
    tidy(configuration);
    process.exit(0);
  };
  const server = {
    registry,
    facts: {
      pid: process.pid,
      mode,
      runtimes: [...launchers.keys()],
      sandboxesDirectory,
      suspend: cgroups.kind,
      ownUserId: userIds !== null,
      resourceLimits: hasResourceLimits(cgroups),
      cpuLimit: hasCpuLimit(cgroups),
    },
    ownerUserId,
    onShutdown: () => setTimeout(end, 20),
  };
  const testPath = join(directory, "self-test.sock");
  try {
    await registry.adopt();
    const testServer = await listenForRequests({ ...server, socketPath: testPath });
    await registry.destroy(selfTestId);
    await testWalls(configuration, testPath).finally(() => testServer.close());
    await registry.destroy(selfTestId);
  } catch (error) {
    await registry.destroy(selfTestId);
    await registry.close(false);
    tidy(configuration);
    throw error;
  }
  const watch = new DiskWatch(sandboxesDirectory, userIds !== null, registry);
  registry.onAwake = () => watch.start();
  watch.start();
  await listenForRequests({ ...server, socketPath });
  writeFileSync(processFile, `${process.pid}\n`, { mode: 0o600 });
  const endKeeping = (): void => void registry.close(false).finally(end);
  process.on("SIGTERM", endKeeping);
  process.on("SIGINT", endKeeping);
  process.on("SIGHUP", () => {});
  if (options.endsWithInput) process.stdin.on("close", () => void registry.close(true).finally(end)).resume();
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
}

run().catch((error: unknown) => {
  const { message, remedy = "" } = describeFailure(error);
  process.stdout.write(`${JSON.stringify({ ready: false, message, remedy })}\n`, () => process.exit(1));
});
