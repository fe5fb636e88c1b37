/**
 * Watches the demo's session while it runs, and takes its sandbox away at the right moment. What it sees is collected
 * for the report.
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Api } from "../api.ts";
import { escapeToLine } from "../render/escape.ts";
import { CommandError } from "../exit-codes.ts";
import { formatMilliseconds, readSandboxFrame } from "../render/lane.ts";
import type { Narrator } from "../render/narrator.ts";
import { readString, type StreamedEvent } from "../render/transcript.ts";
import { differingPaths, type HostManifest, type Manifest, manifestCommand, parseManifest } from "./manifest.ts";
import { destroySandboxOnHost } from "./strike.ts";
import { type DemoWatch, initialWatch, watchEvent } from "./watch.ts";

/** How long a doomed command may run, so that it is interrupted in its middle. */
const graceMilliseconds = 400;
/** The sandbox's states are previews and may be lost: the strike does not wait for them for ever. */
const longestWakeMilliseconds = 2_000;

/** Caches inode numbers of the machine it was written on, and git rewrites it at will. */
const volatileFiles = [".git/index"];

export interface Observer {
  observe(event: StreamedEvent): void;
  readonly watch: DemoWatch;
  /** After the session's end. False as well when the sandbox was never taken away. */
  workspaceIntact(): Promise<boolean>;
}

export interface ObserverDependencies {
  readonly api: Api;
  readonly narrator: Narrator;
  readonly sessionId: string;
  /** Holds one directory for each sandbox of this machine. */
  readonly sandboxDirectory: string;
  /** Told at once; the demo cannot go on after one. */
  readonly onFault: (error: unknown) => void;
}

export function createObserver(dependencies: ObserverDependencies): Observer {
  const { api, narrator, sessionId, onFault } = dependencies;
  let watch = initialWatch;
  let awake = false;
  let wakeUp: () => void = () => undefined;
  let before: Promise<HostManifest> | null = null;
  let struck = false;
  let replaced = false;
  let after: Promise<Manifest> | null = null;

  const strike = async (): Promise<HostManifest> => {
    const since = Date.now();
    const woken = new Promise<void>((resolve) => (wakeUp = resolve));
    if (!awake) await Promise.race([woken, delay(longestWakeMilliseconds)]);
    await delay(graceMilliseconds);
    const manifest = await takeSandboxAway(dependencies, since);
    struck = true;
    inspectOnce();
    return manifest;
  };
  const inspect = async () => parseManifest((await api.runCommand(sessionId, manifestCommand)).output);
  /** First thing in the replacement. The news of it and the end of the strike come in either order. */
  const inspectOnce = () => {
    if (!struck || !replaced || after !== null) return;
    after = inspect();
    after.catch(onFault);
  };

  return {
    observe(event) {
      narrator.tell(event);
      const frame = readSandboxFrame(event);
      if (frame?.status === "awake") wakeUp();
      if (frame !== null && frame.status !== "snapshotted") awake = frame.status === "awake";
      const previous = watch;
      watch = watchEvent(watch, event);
      if (previous.struckCall === null && watch.struckCall !== null) {
        before = strike();
        before.catch(onFault);
      }
      const struckResult = event.type === "agent.tool_result" && readString(event, "tool_use_id") === watch.struckCall;
      if (watch.struckCall !== null && (frame?.status === "replaced" || struckResult)) replaced = true;
      inspectOnce();
    },
    get watch() {
      return watch;
    },
    async workspaceIntact() {
      if (before === null) return false;
      const { files, recent } = await before;
      const differences = differingPaths(files, await (after ?? inspect()), new Set([...recent, ...volatileFiles]));
      for (const path of differences.slice(0, 5)) narrator.remark(`differs: ${escapeToLine(path)}`, "alarm");
      return files.size > 0 && differences.length === 0;
    },
  };
}

async function takeSandboxAway(
  { api, narrator, sessionId, sandboxDirectory }: ObserverDependencies,
  since: number,
): Promise<HostManifest> {
  const sandboxId = (await api.session(sessionId)).x_exoloop.sandbox?.sandbox_id;
  if (sandboxId === undefined || sandboxId === null)
    throw new CommandError("The session has no sandbox that could be taken away.");
  narrator.remark("KILLED by the demo", "alarm");
  const startedAt = performance.now();
  const { processes, manifest } = await destroySandboxOnHost(sandboxDirectory, sandboxId, since);
  const took = formatMilliseconds(performance.now() - startedAt);
  narrator.remark(`${processes} killed, directory deleted (${took})`, "alarm");
  return manifest;
}
