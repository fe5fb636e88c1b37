/** The app in front of ports that fail when they are called, for tests of what is refused before anything is reached. @module */
import { errorAnswer } from "@exoloop/protocol/errors";
import { expect, test } from "vitest";
import type { AgentRepository } from "../agents/agents.ts";
import type { EnvironmentRepository } from "../agents/environments.ts";
import type { DeploymentRuns, DeploymentService } from "../deployments/port.ts";
import { createApp } from "./app.ts";
import { encodeCursor } from "./pages.ts";
import type { SessionService, ThreadService } from "../sessions/port.ts";

export const reached: string[] = [];
function unreachable(name: string) {
  return (): never => {
    reached.push(name);
    throw new Error(`secret: ${name} was reached`);
  };
}

// Only for tests of what is refused: nothing behind the app may be reached.
export const sessions: SessionService = {
  create: unreachable("create"),
  get: unreachable("get"),
  list: unreachable("list"),
  update: unreachable("update"),
  archive: unreachable("archive"),
  delete: unreachable("delete"),
  share: unreachable("share"),
  send: unreachable("send"),
  events: unreachable("events"),
  head: unreachable("head"),
};
export const threads: ThreadService = {
  list: unreachable("threads"),
  get: unreachable("thread"),
  archive: unreachable("archive thread"),
  log: unreachable("log of thread"),
  head: unreachable("head of thread"),
  events: unreachable("events of thread"),
};
export const agents: AgentRepository = {
  create: unreachable("create"),
  get: unreachable("get"),
  update: unreachable("update"),
  list: unreachable("list"),
  versions: unreachable("versions"),
  archive: unreachable("archive"),
};
export const environments: EnvironmentRepository = {
  create: unreachable("create"),
  get: unreachable("get"),
  update: unreachable("update"),
  list: unreachable("list"),
  archive: unreachable("archive"),
  delete: unreachable("delete"),
};
export const deployments: DeploymentService = {
  create: unreachable("create"),
  get: unreachable("get"),
  update: unreachable("update"),
  list: unreachable("list"),
  archive: unreachable("archive"),
  pause: unreachable("pause"),
  unpause: unreachable("unpause"),
  run: unreachable("run"),
};
export const deploymentRuns: DeploymentRuns = { get: unreachable("run"), list: unreachable("runs") };
export const logged: object[] = [];
export const silent = () => undefined;
export const log = { debug: silent, info: silent, warn: silent, error: (details: object) => void logged.push(details) };
const principal = { organizationId: "org_1", apiKeyId: "key_1", scopes: ["admin"] };
export const { app } = createApp({
  sessions,
  threads,
  agents,
  environments,
  deployments,
  deploymentRuns,
  authenticate: async (key) => (key === "good" ? principal : null),
  once: unreachable("once"),
  notices: { publish: silent, subscribe: () => silent },
  health: { ready: async () => undefined },
  commands: { run: unreachable("run") },
  sandboxes: { list: unreachable("sandboxes") },
  models: () => [{ id: "scripted", displayName: "Scripted" }],
  log,
});

export const key = { authorization: "Bearer good" };

export function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return app.request(path, {
    method: "POST",
    body: text,
    headers: { "content-type": "application/json", ...key, ...headers },
  });
}
export const get = (path: string, headers: Record<string, string> = {}) =>
  app.request(path, { headers: { ...key, ...headers } });

export const cursorOf = (list: string, organizationId: string, value: object) =>
  encodeCursor({ list, organizationId }, value);

export type Refusal = readonly [
  name: string,
  send: () => Response | Promise<Response>,
  status: number,
  code: string,
  message: RegExp,
];

/** Each is one error in the one form, and reaches nothing behind the app. */
export function testRefusals(refusals: readonly Refusal[]): void {
  test.each(refusals)("%s: one error, and nothing is reached", async (_name, send, status, code, text) => {
    reached.length = 0;
    const response = await send();
    const answer = errorAnswer.strict().parse(await response.json());
    const requestId = response.headers.get("request-id");
    expect(requestId).toMatch(/^req_/);
    expect(answer.request_id).toBe(requestId);
    expect(answer.error).toMatchObject({ code, details: { error_code: code } });
    expect(answer.error.message).toMatch(text);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(reached).toEqual([]);
  });
}
