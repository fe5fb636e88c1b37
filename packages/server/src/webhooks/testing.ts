/** Webhooks for tests: turns that run, and the app in front of them. @module */
import { randomUUID } from "node:crypto";
import { signWebhook } from "@exoloop/protocol/webhook-signatures";
import type { WebhookWithSecret } from "@exoloop/protocol/webhooks";
import { createDeploymentRuns } from "../deployments/runs.ts";
import { createDeploymentService } from "../deployments/service.ts";
import { createAgentRepository } from "../agents/agents.ts";
import { createEnvironmentRepository } from "../agents/environments.ts";
import { createApp } from "../http/app.ts";
import type { App } from "../http/route.ts";
import type { SessionService } from "../sessions/port.ts";
import { createRequestOnce } from "../http/idempotency.ts";
import { startTurnTest } from "../loop/testing.ts";
import { authenticate, createApiKey } from "../orgs/api-keys.ts";
import { createSessionService } from "../sessions/service.ts";
import { createThreadService } from "../sessions/threads.ts";
import { insertTestSession, noSandboxes, type TestSession } from "../sessions/testing-database.ts";
import { createWebhookReceiver, type WebhookDependencies } from "./deliver.ts";
import { createWebhookRepository } from "./webhooks.ts";

export type WebhookTest = Awaited<ReturnType<typeof startWebhookTest>>;

export async function startWebhookTest() {
  const turns = await startTurnTest();
  const { database } = turns.test;
  const { engine, notices } = turns.dependencies;
  const logged: object[] = [];
  const note = (details: object) => void logged.push(details);
  const log = { debug: note, info: note, warn: note, error: note };
  const dependencies = { database, engine, notices, log };
  const sessions = createSessionService({
    ...dependencies,
    isPriced: () => true,
    ...noSandboxes,
  });
  const { app } = openApp(dependencies, sessions);
  return {
    turns,
    database,
    dependencies,
    sessions,
    app,
    /** What the process logged. */
    logged,
    /** A session, and a function that sends requests with a key of its organization. */
    async newOrganization(scopes: readonly ("admin" | "sessions")[] = ["admin"]) {
      const session = await insertTestSession(database);
      const { apiKey } = await createApiKey(database, { ...session, name: "test", scopes });
      return { session, apiKey, call: caller(app, apiKey) };
    },
    /** Another session of the same organization. */
    async sibling({ organizationId }: TestSession): Promise<TestSession> {
      const { sessionId } = await insertTestSession(database);
      await database
        .updateTable("sessions")
        .set({ organization_id: organizationId })
        .where("id", "=", sessionId)
        .execute();
      return { organizationId, sessionId };
    },
    deliver: (webhook: WebhookWithSecret, payload: string | Uint8Array, options: Partial<DeliveryOptions> = {}) =>
      deliver(app, webhook, payload, options),
  };
}

interface DeliveryOptions {
  readonly id: string;
  readonly timestamp: number;
  readonly secret: string;
  readonly headers: Readonly<Record<string, string>>;
}

function openApp(dependencies: WebhookDependencies, sessions: SessionService) {
  const { database, engine, notices, log } = dependencies;
  return createApp({
    sessions,
    threads: createThreadService({ ...dependencies, releaseSandbox: () => Promise.resolve() }),
    agents: createAgentRepository(database),
    environments: createEnvironmentRepository(database),
    deployments: createDeploymentService(dependencies),
    deploymentRuns: createDeploymentRuns(database),
    authenticate: (apiKey) => authenticate(database, apiKey),
    once: createRequestOnce(database),
    notices,
    health: { ready: () => Promise.resolve() },
    webhooks: {
      repository: createWebhookRepository(database, engine),
      receiver: createWebhookReceiver(dependencies),
    },
    log,
  });
}

function caller(app: App, apiKey: string) {
  return async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
    const response = await app.request(path, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as never };
  };
}

async function deliver(
  app: App,
  webhook: WebhookWithSecret,
  payload: string | Uint8Array,
  options: Partial<DeliveryOptions>,
) {
  const { id = `msg_${randomUUID()}`, timestamp = Math.floor(Date.now() / 1000), secret = webhook.secret } = options;
  const body = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const headers = await signWebhook(secret, { id, timestamp, body });
  return app.request(webhook.path, {
    method: "POST",
    body: Buffer.from(body),
    headers: { ...headers, ...options.headers },
  });
}
