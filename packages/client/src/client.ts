/**
 * The client: the API as functions, typed by the protocol. Runs wherever there is `fetch`: Node, browsers, workers.
 * @example
 *   const client = createClient({ baseUrl: "http://127.0.0.1:4848", apiKey });
 *   const session = await client.sessions.create({ agent: agent.id, environment_id: environment.id });
 *   for await (const item of client.events.stream(session.id, { afterSeq: 0 })) console.log(item.type);
 * @module
 */
import type { Agent, CreateAgentRequest, UpdateAgentRequest } from "@exoloop/protocol/agents";
import type {
  CreateDeploymentRequest,
  Deployment,
  DeploymentRun,
  DeploymentStatus,
  TriggerType,
  UpdateDeploymentRequest,
} from "@exoloop/protocol/deployments";
import type { Budget, BudgetDeletion, BudgetName, PutBudgetRequest, UsageReport } from "@exoloop/protocol/budgets";
import type { CreateEnvironmentRequest, Environment, UpdateEnvironmentRequest } from "@exoloop/protocol/environments";
import type { SendableEvent } from "@exoloop/protocol/events";
import type { Model, ModelPage } from "@exoloop/protocol/models";
import type { BidirectionalPage, Page } from "@exoloop/protocol/pages";
import type { SentEvents, SessionEvent } from "@exoloop/protocol/session-events";
import type {
  CreateSessionRequest,
  Session,
  SessionShare,
  SessionStatus,
  UpdateSessionRequest,
} from "@exoloop/protocol/sessions";
import type { UpdateSnapshotRequest, WorkspaceSnapshot } from "@exoloop/protocol/snapshots";
import type { SessionThread } from "@exoloop/protocol/threads";
import { sessionTarget, type StreamItem, type StreamOptions, streamEvents, threadTarget } from "./event-stream.ts";
import { filesystemMethods } from "./filesystem.ts";
import { commandMethods, sandboxMethods } from "./sandboxes.ts";
import { skillMethods } from "./skills.ts";
import { userMethods } from "./users.ts";
import { environmentKeyMethods } from "./environment-keys.ts";
import { webhookMethods } from "./webhooks.ts";
import { type ClientOptions, type Query, type Transport, createTransport, segment } from "./transport.ts";

import { readApiError } from "./api-error.ts";

export { ApiError } from "./api-error.ts";
export type { FileContent, FileMoment } from "./filesystem.ts";
export type { CommandOutput } from "./sandboxes.ts";
export type { StreamItem, StreamOptions } from "./event-stream.ts";
export type { ClientOptions } from "./transport.ts";

export interface PageParameters {
  readonly limit?: number;
  /** `next_page` of the page before. */
  readonly page?: string;
}

export interface ListParameters extends PageParameters {
  readonly include_archived?: boolean;
}

export interface ListSessionsParameters extends ListParameters {
  readonly order?: "asc" | "desc";
  readonly agent_id?: string;
  readonly agent_version?: number;
  readonly deployment_id?: string;
  /** Of this person only. */
  readonly x_user_id?: string;
  readonly statuses?: readonly SessionStatus[];
}

/** `status` not together with `include_archived`. */
export interface ListDeploymentsParameters extends ListParameters {
  readonly agent_id?: string;
  readonly status?: DeploymentStatus;
}

export interface ListDeploymentRunsParameters extends PageParameters {
  readonly deployment_id?: string;
  readonly has_error?: boolean;
  readonly trigger_type?: TriggerType;
}

export interface ListEventsParameters extends PageParameters {
  readonly order?: "asc" | "desc";
  readonly types?: readonly SessionEvent["type"][];
}

export interface ListThreadsParameters extends PageParameters {
  readonly statuses?: readonly SessionStatus[];
}

export interface UsageParameters {
  readonly period?: Budget["period"];
  readonly scope?: Budget["scope"];
  readonly subject?: string;
  /** First and last day of the UTC calendar, as `YYYY-MM-DD`. */
  readonly from?: string;
  readonly to?: string;
}

export type Client = ReturnType<typeof createClient>;

/** Every method rejects with ApiError when the server refuses. */
export function createClient(options: ClientOptions) {
  const transport = createTransport(options);
  return {
    agents: agentMethods(transport),
    environments: environmentMethods(transport),
    deployments: deploymentMethods(transport),
    deploymentRuns: deploymentRunMethods(transport),
    sessions: sessionMethods(transport),
    events: eventMethods(transport),
    threads: threadMethods(transport),
    models: {
      list: (parameters: { limit?: number; after_id?: string; before_id?: string } = {}) =>
        transport.request<ModelPage>("GET", "/v1/models", { query: parameters }),
      retrieve: (id: string) => transport.request<Model>("GET", `/v1/models/${segment(id)}`),
    },
    commands: commandMethods(transport),
    ...budgetMethods(transport),
    webhooks: webhookMethods(transport),
    environmentKeys: environmentKeyMethods(transport),
    users: userMethods(transport),
    skills: skillMethods(transport),
    snapshots: {
      /** Of a session's workspace, newest first. */
      list: (sessionId: string, parameters: PageParameters & { readonly order?: "asc" | "desc" } = {}) =>
        transport.request<BidirectionalPage<WorkspaceSnapshot>>(
          "GET",
          `/v1/x/sessions/${segment(sessionId)}/snapshots`,
          { query: asQuery(parameters) },
        ),
      update: (sessionId: string, snapshotId: string, request: UpdateSnapshotRequest) =>
        transport.request<WorkspaceSnapshot>(
          "POST",
          `/v1/x/sessions/${segment(sessionId)}/snapshots/${segment(snapshotId)}`,
          { body: request },
        ),
    },
    sandboxes: sandboxMethods(transport),
    filesystem: filesystemMethods(transport),
  };
}

/**
 * All items of a list, page after page.
 * @example for await (const agent of eachItem((page) => client.agents.list({ page }))) …
 */
export async function* eachItem<Item>(
  readPage: (parameters: { page?: string }) => Promise<Page<Item>>,
): AsyncGenerator<Item, void> {
  let page: Page<Item> | null = null;
  do {
    page = await readPage(page?.next_page ? { page: page.next_page } : {});
    yield* page.data;
  } while (page.next_page !== null);
}

function budgetMethods(transport: Transport) {
  const path = "/v1/x/budgets";
  return {
    /** Those that sessions share; a session's own is set with `sessions.update`. */
    budgets: {
      list: () => transport.request<{ data: Budget[] }>("GET", path),
      /** Sets or replaces. */
      put: (request: PutBudgetRequest) => transport.request<Budget>("PUT", path, { body: request }),
      delete: (name: BudgetName) => transport.request<BudgetDeletion>("DELETE", path, { query: asQuery(name) }),
    },
    usage: {
      report: (parameters: UsageParameters = {}) =>
        transport.request<UsageReport>("GET", "/v1/x/usage", { query: asQuery(parameters) }),
      csv: async (parameters: UsageParameters = {}): Promise<string> => {
        const query = { ...asQuery(parameters), format: "csv" };
        const response = await transport.send("GET", "/v1/x/usage", { query });
        if (!response.ok) throw await readApiError(response);
        return response.text();
      },
    },
  };
}

function asQuery(parameters: object): Query {
  return { ...parameters };
}

function agentMethods(transport: Transport) {
  const path = (id: string) => `/v1/agents/${segment(id)}`;
  return {
    create: (request: CreateAgentRequest) => transport.request<Agent>("POST", "/v1/agents", { body: request }),
    retrieve: (id: string, parameters: { version?: number } = {}) =>
      transport.request<Agent>("GET", path(id), { query: parameters }),
    update: (id: string, request: UpdateAgentRequest) => transport.request<Agent>("POST", path(id), { body: request }),
    list: (parameters: ListParameters = {}) =>
      transport.request<Page<Agent>>("GET", "/v1/agents", { query: asQuery(parameters) }),
    archive: (id: string) => transport.request<Agent>("POST", `${path(id)}/archive`),
    /** Newest first. */
    versions: (id: string, parameters: PageParameters = {}) =>
      transport.request<Page<Agent>>("GET", `${path(id)}/versions`, { query: asQuery(parameters) }),
  };
}

function environmentMethods(transport: Transport) {
  const path = (id: string) => `/v1/environments/${segment(id)}`;
  return {
    create: (request: CreateEnvironmentRequest) =>
      transport.request<Environment>("POST", "/v1/environments", { body: request }),
    retrieve: (id: string) => transport.request<Environment>("GET", path(id)),
    update: (id: string, request: UpdateEnvironmentRequest) =>
      transport.request<Environment>("POST", path(id), { body: request }),
    list: (parameters: ListParameters = {}) =>
      transport.request<Page<Environment>>("GET", "/v1/environments", { query: asQuery(parameters) }),
    archive: (id: string) => transport.request<Environment>("POST", `${path(id)}/archive`),
    delete: (id: string) => transport.request<{ id: string; type: "environment_deleted" }>("DELETE", path(id)),
  };
}

function deploymentMethods(transport: Transport) {
  const path = (id: string) => `/v1/deployments/${segment(id)}`;
  const change = (verb: string) => (id: string) => transport.request<Deployment>("POST", `${path(id)}/${verb}`);
  return {
    create: (request: CreateDeploymentRequest) =>
      transport.request<Deployment>("POST", "/v1/deployments", { body: request }),
    retrieve: (id: string) => transport.request<Deployment>("GET", path(id)),
    update: (id: string, request: UpdateDeploymentRequest) =>
      transport.request<Deployment>("POST", path(id), { body: request }),
    list: (parameters: ListDeploymentsParameters = {}) =>
      transport.request<Page<Deployment>>("GET", "/v1/deployments", { query: asQuery(parameters) }),
    archive: change("archive"),
    pause: change("pause"),
    unpause: change("unpause"),
    /** Starts a run now. */
    run: (id: string) => transport.request<DeploymentRun>("POST", `${path(id)}/run`),
  };
}

function deploymentRunMethods(transport: Transport) {
  return {
    retrieve: (id: string) => transport.request<DeploymentRun>("GET", `/v1/deployment_runs/${segment(id)}`),
    list: (parameters: ListDeploymentRunsParameters = {}) =>
      transport.request<Page<DeploymentRun>>("GET", "/v1/deployment_runs", { query: asQuery(parameters) }),
  };
}

function sessionMethods(transport: Transport) {
  const path = (id: string) => `/v1/sessions/${segment(id)}`;
  return {
    create: (request: CreateSessionRequest) => transport.request<Session>("POST", "/v1/sessions", { body: request }),
    retrieve: (id: string) => transport.request<Session>("GET", path(id)),
    update: (id: string, request: UpdateSessionRequest) =>
      transport.request<Session>("POST", path(id), { body: request }),
    /** Newest first, unless `order` says otherwise. */
    list: (parameters: ListSessionsParameters = {}) =>
      transport.request<BidirectionalPage<Session>>("GET", "/v1/sessions", { query: asQuery(parameters) }),
    archive: (id: string) => transport.request<Session>("POST", `${path(id)}/archive`),
    delete: (id: string) => transport.request<{ id: string; type: "session_deleted" }>("DELETE", path(id)),
    /** Shows a private session to the whole organization, for good. The answer warns of what stays in it. */
    share: (id: string) => transport.request<SessionShare>("POST", `/v1/x/sessions/${segment(id)}/share`),
  };
}

function eventMethods(transport: Transport) {
  const path = (sessionId: string) => `/v1/sessions/${segment(sessionId)}/events`;
  return {
    /** All of them are stored, or none. */
    send: (sessionId: string, events: readonly SendableEvent[]) =>
      transport.request<SentEvents>("POST", path(sessionId), { body: { events } }),
    /** Oldest first, unless `order` says otherwise. */
    list: (sessionId: string, parameters: ListEventsParameters = {}) =>
      transport.request<Page<SessionEvent>>("GET", path(sessionId), { query: asQuery(parameters) }),
    /** Follows the session over lost connections: each durable event exactly once. */
    stream: (sessionId: string, options: StreamOptions = {}): AsyncGenerator<StreamItem, void> =>
      streamEvents(transport, sessionTarget(sessionId), options),
  };
}

function threadMethods(transport: Transport) {
  const path = (sessionId: string) => `/v1/sessions/${segment(sessionId)}/threads`;
  const item = (sessionId: string, threadId: string) => `${path(sessionId)}/${segment(threadId)}`;
  return {
    /** The session's own conversation first, then those of the agents that it has given work to. */
    list: (sessionId: string, parameters: ListThreadsParameters = {}) =>
      transport.request<Page<SessionThread>>("GET", path(sessionId), { query: asQuery(parameters) }),
    retrieve: (sessionId: string, threadId: string) =>
      transport.request<SessionThread>("GET", item(sessionId, threadId)),
    archive: (sessionId: string, threadId: string) =>
      transport.request<SessionThread>("POST", `${item(sessionId, threadId)}/archive`),
    events: (sessionId: string, threadId: string, parameters: PageParameters = {}) =>
      transport.request<Page<SessionEvent>>("GET", `${item(sessionId, threadId)}/events`, {
        query: asQuery(parameters),
      }),
    /** Follows the thread over lost connections: each durable event exactly once. */
    stream: (sessionId: string, threadId: string, options: StreamOptions = {}): AsyncGenerator<StreamItem, void> =>
      streamEvents(transport, threadTarget(sessionId, threadId), options),
  };
}
