/** Callers of the memory API, through the official SDK. @module */
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import type { TestServer } from "./testing.ts";

/** What the server answered to a request that failed; throws when it did not fail. */
export async function refusalOf(request: PromiseLike<unknown>): Promise<{
  readonly status: unknown;
  readonly code: unknown;
  readonly error: unknown;
}> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  // The SDK gives its errors' members the type any.
  const refusal: { readonly status?: unknown; readonly error?: unknown; readonly errorCode?: unknown } | null =
    error instanceof APIError ? error : null;
  if (refusal === null) throw new Error(`no API error: ${String(error)}`);
  const body = refusal.error;
  const inner = typeof body === "object" && body !== null && "error" in body ? body.error : null;
  return { status: refusal.status, code: refusal.errorCode, error: inner };
}

export async function newMemoryCaller(server: TestServer) {
  const { apiKey, principal } = await server.newOrganization();
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  return { sdk, stores: sdk.beta.memoryStores, apiKey, principal };
}

/** A session of the caller's, without events. */
export async function newSession(sdk: Anthropic, resources: Anthropic.Beta.SessionCreateParams["resources"] = []) {
  const agent = await sdk.beta.agents.create({ name: "a", model: "m" });
  const environment = await sdk.beta.environments.create({ name: "e" });
  return sdk.beta.sessions.create({ agent: agent.id, environment_id: environment.id, resources });
}
