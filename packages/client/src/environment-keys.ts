/** Keys that the workers of self-hosted environments take their work with. @module */
import type { Page } from "@exoloop/protocol/pages";
import type { EnvironmentKey, EnvironmentKeyWithSecret } from "@exoloop/protocol/work";
import { segment, type Transport } from "./transport.ts";

export function environmentKeyMethods(transport: Transport) {
  const path = (environmentId: string) => `/v1/x/environments/${segment(environmentId)}/keys`;
  return {
    /** The answer is the only one with the key. */
    create: (environmentId: string, request: { readonly name: string }) =>
      transport.request<EnvironmentKeyWithSecret>("POST", path(environmentId), { body: request }),
    /** Those that are valid, newest first. */
    list: (environmentId: string, parameters: { readonly limit?: number; readonly page?: string } = {}) =>
      transport.request<Page<EnvironmentKey>>("GET", path(environmentId), { query: { ...parameters } }),
    revoke: (environmentId: string, keyId: string) =>
      transport.request<{ id: string; type: "environment_key_deleted" }>(
        "DELETE",
        `${path(environmentId)}/${segment(keyId)}`,
      ),
  };
}
