/**
 * A provider whose sandboxes are in memory: the whole contract without an operating system, for fast tests. It confines
 * nothing. Commands are a part of bash (shell-parser.ts, programs.ts); faults are made on purpose through `controls`.
 * @module
 */
import type {
  CreateSandboxRequest,
  Sandbox,
  SandboxCapabilities,
  SandboxProvider,
  SandboxStatus,
  Timed,
} from "../../contract.ts";
import { SandboxGoneError } from "../../errors.ts";
import { createCommandVerbs } from "./commands.ts";
import { createFileVerbs } from "./files.ts";
import { createMachine } from "./machine.ts";
import { createTransferVerbs } from "./transfer.ts";
import { createFileTree } from "./tree.ts";

export interface MemoryProviderOptions {
  /** Default `memory`. */
  readonly id?: string;
  /** Before every verb. */
  readonly latencyMs?: number;
  /** What time files are given. */
  readonly now?: () => number;
}

/** What goes wrong on purpose. */
export interface MemoryControls {
  /** The sandbox is lost without a word: whoever uses it next is told that it is gone. */
  lose(id: string): void;
  /** The next call of this verb (`create`, `resume`, `writeFile`, `spawn`, …) rejects with this error, once. */
  failNext(verb: string, error: Error): void;
  setLatency(milliseconds: number): void;
  /** How often each verb was called. */
  calls(verb: string): number;
}

export interface MemoryProvider extends SandboxProvider {
  readonly controls: MemoryControls;
}

const capabilities: SandboxCapabilities = {
  suspend: "simulated",
  isolation: "none",
  ownUserId: false,
  holes: true,
  memoryLimit: false,
  processLimit: false,
  cpuLimit: false,
  diskLimit: "enforced",
  filesWhileSuspended: true,
  reattach: true,
  terminal: true,
  ports: false,
  network: "none",
  warmPool: false,
  clockCorrection: "not_needed",
  freshEntropy: "not_needed",
};

interface MemorySandbox {
  readonly sandbox: Sandbox;
  readonly status: () => SandboxStatus;
  readonly lose: (reason: string) => void;
}

const description =
  "A sandbox in memory, for tests: /workspace is the working directory, commands are a small part of bash.";

type Enter = (verb: string) => Promise<void>;

async function timed(enter: Enter, verb: string, act: () => void): Promise<Timed> {
  const begun = performance.now();
  await enter(verb);
  act();
  return { milliseconds: performance.now() - begun };
}

function createMemorySandbox(
  providerId: string,
  request: CreateSandboxRequest,
  now: () => number,
  enterProvider: Enter,
): MemorySandbox {
  const { id, owner, resources } = request;
  const machine = createMachine();
  const tree = createFileTree(resources, now);
  const createdAt = now();
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {});
  let reason: string | null = null;
  const enter: Enter = async (verb) => {
    await enterProvider(verb);
    if (reason !== null) throw new SandboxGoneError(id, reason, { reached: false });
  };
  const lose = (why: string): void => {
    if (reason !== null) return;
    reason = why;
    machine.killAll();
    lost.reject(new SandboxGoneError(id, why));
  };
  const place = { machine, tree, environment: { ...request.environment }, enter, gone: lost.promise };
  const { running, ...commands } = createCommandVerbs(place);
  const status = (): SandboxStatus => ({
    id,
    owner,
    state: machine.isAwake ? "awake" : "suspended",
    createdAt,
    runningCommands: running(),
  });
  const sandbox: Sandbox = {
    reference: { provider: providerId, id },
    session: {
      description,
      ...createFileVerbs(tree, enter),
      ...createTransferVerbs(tree, enter),
      ...commands,
      connectPort: () => Promise.reject(new Error("a sandbox in memory has no ports")),
    },
    async status() {
      await enter("status");
      return status();
    },
    suspend: () => timed(enter, "suspend", machine.suspend),
    resume: () => timed(enter, "resume", machine.resume),
    async destroy() {
      await enterProvider("destroy");
      lose("it was destroyed");
    },
  };
  return { sandbox, status, lose };
}

export function createMemoryProvider(options: MemoryProviderOptions = {}): MemoryProvider {
  const { id = "memory", now = Date.now } = options;
  const sandboxes = new Map<string, MemorySandbox>();
  const failures = new Map<string, Error[]>();
  const calls = new Map<string, number>();
  let latencyMs = options.latencyMs ?? 0;
  const enter: Enter = async (verb) => {
    calls.set(verb, (calls.get(verb) ?? 0) + 1);
    if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
    const failure = failures.get(verb)?.shift();
    if (failure !== undefined) throw failure;
  };
  const forget = (sandboxId: string, reason: string): void => {
    sandboxes.get(sandboxId)?.lose(reason);
    sandboxes.delete(sandboxId);
  };
  const handOut = ({ sandbox }: MemorySandbox): Sandbox => ({
    ...sandbox,
    async destroy() {
      await sandbox.destroy();
      if (sandboxes.get(sandbox.reference.id)?.sandbox === sandbox) sandboxes.delete(sandbox.reference.id);
    },
  });
  return {
    id,
    capabilities,
    async create(request) {
      await enter("create");
      let found = sandboxes.get(request.id);
      if (found === undefined) {
        found = createMemorySandbox(id, request, now, enter);
        sandboxes.set(request.id, found);
      }
      return handOut(found);
    },
    async attach({ id: sandboxId, provider }) {
      await enter("attach");
      const found = sandboxes.get(sandboxId);
      if (provider !== id) throw new SandboxGoneError(sandboxId, `it belongs to the provider ${provider}`);
      if (found === undefined) throw new SandboxGoneError(sandboxId, "there is none of this name");
      return handOut(found);
    },
    async list() {
      await enter("list");
      return [...sandboxes.values()].map(({ status }) => status());
    },
    keepWarm: () => enter("keepWarm"),
    async close() {
      for (const sandboxId of sandboxes.keys()) forget(sandboxId, "the provider was closed");
    },
    controls: {
      lose: (sandboxId) => forget(sandboxId, "it was lost"),
      failNext: (verb, error) => void failures.set(verb, [...(failures.get(verb) ?? []), error]),
      setLatency: (milliseconds) => void (latencyMs = milliseconds),
      calls: (verb) => calls.get(verb) ?? 0,
    },
  };
}
