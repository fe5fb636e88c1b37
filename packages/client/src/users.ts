/** The people of an organization, and the keys that are theirs. @module */
import type { Page } from "@exoloop/protocol/pages";
import type {
  CreateUserKeyRequest,
  CreateUserRequest,
  UpdateUserRequest,
  User,
  UserKey,
  UserKeyWithSecret,
} from "@exoloop/protocol/users";
import { segment, type Transport } from "./transport.ts";

export interface ListUsersParameters {
  readonly limit?: number;
  readonly page?: string;
  readonly include_archived?: boolean;
  readonly external_id?: string;
}

export function userMethods(transport: Transport) {
  const path = (id: string) => `/v1/x/users/${segment(id)}`;
  return {
    create: (request: CreateUserRequest) => transport.request<User>("POST", "/v1/x/users", { body: request }),
    retrieve: (id: string) => transport.request<User>("GET", path(id)),
    /** Newest first. */
    list: (parameters: ListUsersParameters = {}) =>
      transport.request<Page<User>>("GET", "/v1/x/users", { query: { ...parameters } }),
    update: (id: string, request: UpdateUserRequest) => transport.request<User>("POST", path(id), { body: request }),
    /** Their keys are worth nothing from then on. */
    archive: (id: string) => transport.request<User>("POST", `${path(id)}/archive`),
    /** The answer is the only one with the key itself. */
    createKey: (id: string, request: CreateUserKeyRequest = {}) =>
      transport.request<UserKeyWithSecret>("POST", `${path(id)}/keys`, { body: request }),
    keys: (id: string) => transport.request<{ data: UserKey[] }>("GET", `${path(id)}/keys`),
    revokeKey: (id: string, keyId: string) =>
      transport.request<UserKey>("DELETE", `${path(id)}/keys/${segment(keyId)}`),
  };
}
