/** Where a worker of a self-hosted environment works: a directory, an environment, its key. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import { scriptedMessage, type TestServer } from "./running.ts";

export type SessionEvent = Anthropic.Beta.Sessions.BetaManagedAgentsSessionEvent;

export interface WorkerPlace {
  readonly workdir: string;
  readonly environmentId: string;
  readonly environmentKey: string;
  /** The SDK's worker, in this process. Stopped with the place, as by a signal: its item is stopped. */
  startWorker(): void;
  /** The same in a process of its own, to be killed. */
  spawnWorker(): ChildProcess;
  newSession(options?: { readonly policy?: "always_allow" | "always_ask" }): Promise<string>;
  send(sessionId: string, ...steps: object[]): Promise<unknown>;
  history(sessionId: string): Promise<SessionEvent[]>;
  /** The history once it satisfies the condition. */
  eventually(sessionId: string, done: (events: readonly SessionEvent[]) => boolean): Promise<SessionEvent[]>;
  items(): Promise<Anthropic.Beta.Environments.BetaSelfHostedWork[]>;
  exists(name: string): Promise<boolean>;
  leave(): Promise<void>;
}

/** A lease as short as this server gives, so that a worker that is lost is missed soon; in seconds. */
const lease = 5;
const shortLease: typeof fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (url.pathname.endsWith("/heartbeat")) url.searchParams.set("desired_ttl_seconds", String(lease));
  return fetch(url, init);
};

/**
 * Memory stores are below /mnt/memory of a worker's machine. The machine of a worker in a test is its directory: what it
 * is told of the session says so.
 */
const insideOf =
  (workdir: string): typeof fetch =>
  async (input, init) => {
    const response = await shortLease(input, init);
    if (!/\/v1\/sessions\/[^/?]+(\?|$)/.test(input instanceof Request ? input.url : input.toString())) return response;
    const text = (await response.text()).replaceAll('"/mnt/memory/', `"${workdir}/mnt/memory/`);
    return new Response(text, { status: response.status, headers: { "content-type": "application/json" } });
  };

/** It is told everything by its environment, and nothing by its arguments. */
const workerProgram = `
import Anthropic from "@anthropic-ai/sdk";
const { WORKER_URL: baseURL, WORKER_ENVIRONMENT: environmentId, WORKER_KEY: environmentKey, WORKER_DIRECTORY: workdir } = process.env;
const shortLease = (input, init) => {
  const url = new URL(input);
  if (url.pathname.endsWith("/heartbeat")) url.searchParams.set("desired_ttl_seconds", "${lease}");
  return fetch(url, init);
};
const client = new Anthropic({ baseURL, apiKey: null, authToken: null, logLevel: "off", fetch: shortLease });
await client.beta.environments.work.worker({ environmentId, environmentKey, workdir }).run();
`;

/** How long a worker of a test waits for more when a turn has ended, in milliseconds. */
const maxIdleMs = 300;

export async function createWorkerPlace(server: TestServer): Promise<WorkerPlace> {
  const { sdk } = server;
  const workdir = await mkdtemp(join(tmpdir(), "exoloop-worker-"));
  const name = `worker ${crypto.randomUUID()}`;
  const { id: environmentId } = await sdk.beta.environments.create({ name, config: { type: "self_hosted" } });
  const path = `/v1/x/environments/${environmentId}/keys`;
  const { key: environmentKey }: { key: string } = await sdk.post(path, { body: { name: "test" } });
  const credentials = { url: server.exoloop.url, environmentId, environmentKey, workdir };
  const endings: (() => Promise<void>)[] = [];
  return {
    workdir,
    environmentId,
    environmentKey,
    startWorker: () => endings.push(runWorker(credentials)),
    spawnWorker() {
      const { child, end } = forkWorker(credentials);
      endings.push(end);
      return child;
    },
    async newSession({ policy = "always_allow" } = {}) {
      const agent = await sdk.beta.agents.create({
        name: "tester",
        model: "scripted",
        tools: [{ type: "agent_toolset_20260401", default_config: { permission_policy: { type: policy } } }],
      });
      return (await sdk.beta.sessions.create({ agent: agent.id, environment_id: environmentId })).id;
    },
    send: (sessionId, ...steps) => sdk.beta.sessions.events.send(sessionId, { events: [scriptedMessage(steps)] }),
    history: (sessionId) => readHistory(sdk, sessionId),
    eventually: (sessionId, done) => waitForHistory(sdk, sessionId, done),
    items: async () => (await sdk.beta.environments.work.list(environmentId)).data,
    exists: (file) =>
      readFile(join(workdir, file)).then(
        () => true,
        () => false,
      ),
    async leave() {
      await Promise.all(endings.map((end) => end()));
      await rm(workdir, { recursive: true, force: true });
    },
  };
}

interface Credentials {
  readonly url: string;
  readonly environmentId: string;
  readonly environmentKey: string;
  readonly workdir: string;
}

function runWorker({ url, ...options }: Credentials): () => Promise<void> {
  const ending = new AbortController();
  // Without the organization's key: the worker has its environment's and nothing else.
  const fetch = insideOf(options.workdir);
  const client = new Anthropic({ baseURL: url, apiKey: null, authToken: null, logLevel: "off", fetch });
  const ran = client.beta.environments.work
    .worker({ ...options, maxIdleMs })
    .run(ending.signal)
    .catch(() => undefined);
  return async () => {
    ending.abort();
    await ran;
  };
}

function forkWorker({ url, environmentId, environmentKey, workdir }: Credentials) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", workerProgram], {
    stdio: "ignore",
    env: {
      PATH: process.env["PATH"],
      WORKER_URL: url,
      WORKER_ENVIRONMENT: environmentId,
      WORKER_KEY: environmentKey,
      WORKER_DIRECTORY: workdir,
    },
  });
  const ended = once(child, "exit");
  const end = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  return { child, end };
}

async function readHistory(sdk: Anthropic, sessionId: string): Promise<SessionEvent[]> {
  const events: SessionEvent[] = [];
  for await (const event of sdk.beta.sessions.events.list(sessionId, { limit: 1000 })) events.push(event);
  return events;
}

async function waitForHistory(
  sdk: Anthropic,
  sessionId: string,
  done: (events: readonly SessionEvent[]) => boolean,
): Promise<SessionEvent[]> {
  let events: SessionEvent[] = [];
  for (const until = Date.now() + 60_000; Date.now() < until;) {
    events = await readHistory(sdk, sessionId);
    if (done(events)) return events;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not reached: ${events.map((event) => event.type).join(", ")}`);
}

/** The turn has ended: nobody is asked for anything. */
export function isOver(events: readonly SessionEvent[]): boolean {
  const last = events.at(-1);
  return last?.type === "session.status_idle" && last.stop_reason.type !== "requires_action";
}

export function resultsOf(events: readonly SessionEvent[]) {
  return events.flatMap((event) => (event.type === "user.tool_result" ? [event] : []));
}

export function textOf({ content = [] }: { readonly content?: readonly { readonly type: string }[] }): string {
  return content.map((block) => ("text" in block ? String(block.text) : "")).join("");
}
