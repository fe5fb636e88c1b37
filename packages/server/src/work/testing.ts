/** A queue with a worker's key, for tests. @module */
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import type { TestServer } from "../http/testing.ts";
import { enqueueWork } from "./enqueue.ts";

export type WorkTest = Awaited<ReturnType<typeof openWorkTest>>;

/** An organization with a self-hosted environment. */
export async function openWorkTest(server: TestServer) {
  const connect = (apiKey: string) =>
    new Anthropic({ baseURL: server.listener.url, apiKey: null, authToken: apiKey, maxRetries: 0 });
  const sdk = connect((await server.newOrganization()).apiKey);
  const environment = await sdk.beta.environments.create({ name: "w", config: { type: "self_hosted" } });
  const environmentId = environment.id;
  const newKey = (id: string): Promise<{ id: string; key: string }> =>
    sdk.post(`/v1/x/environments/${id}/keys`, { body: { name: "laptop" } });
  const worker = connect((await newKey(environmentId)).key);
  const enqueue = (sessionId: string) =>
    server.test.database.transaction().execute((transaction) => enqueueWork(transaction, server.notices, sessionId));
  const poll = (client = worker, options: Anthropic.Beta.Environments.WorkPollParams = {}) =>
    client.beta.environments.work.poll(environmentId, options);
  return {
    connect,
    sdk,
    environmentId,
    newKey,
    /** With the key of a worker. */
    worker,
    enqueue,
    /** A session with work in the queue. */
    async newWork(): Promise<string> {
      const agent = await sdk.beta.agents.create({ name: "a", model: "m" });
      const session = await sdk.beta.sessions.create({ agent: agent.id, environment_id: environmentId });
      await enqueue(session.id);
      return session.id;
    },
    poll,
    async take(client = worker) {
      const item = await poll(client);
      if (item === null) throw new Error("there is no work");
      const text = Buffer.from(item.secret ?? "", "base64url").toString("utf8");
      const secret = JSON.parse(text) as { sessions_token: string; api_base_url: string };
      return { item, token: connect(secret.sessions_token), secret, address: { environment_id: environmentId } };
    },
  };
}

export async function codeOf(request: Promise<unknown>): Promise<string | null | undefined> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof APIError ? error.errorCode : `no API error: ${String(error)}`;
}
