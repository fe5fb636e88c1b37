/**
 * Our objects are the official SDK's objects. The compiler does the work: each function returns its argument as the
 * other side's type.
 * @module
 */
import type {
  AgentCreateParams,
  AgentUpdateParams,
  BetaManagedAgentsAgent,
} from "@anthropic-ai/sdk/resources/beta/agents/agents";
import type { BetaManagedAgentsDeploymentRun } from "@anthropic-ai/sdk/resources/beta/deployment-runs";
import type {
  BetaManagedAgentsDeployment,
  DeploymentCreateParams,
  DeploymentUpdateParams,
} from "@anthropic-ai/sdk/resources/beta/deployments";
import type {
  BetaEnvironment,
  EnvironmentCreateParams,
  EnvironmentUpdateParams,
} from "@anthropic-ai/sdk/resources/beta/environments/environments";
import type {
  BetaSelfHostedWork,
  BetaSelfHostedWorkHeartbeatResponse,
  BetaSelfHostedWorkQueueStats,
  BetaWorkLeaseState,
  BetaWorkSecret,
} from "@anthropic-ai/sdk/resources/beta/environments/work";
import type {
  BetaManagedAgentsMemory,
  BetaManagedAgentsMemoryListItem,
  MemoryCreateParams,
  MemoryUpdateParams,
} from "@anthropic-ai/sdk/resources/beta/memory-stores/memories";
import type {
  BetaManagedAgentsMemoryStore,
  MemoryStoreCreateParams,
  MemoryStoreUpdateParams,
} from "@anthropic-ai/sdk/resources/beta/memory-stores/memory-stores";
import type { BetaManagedAgentsMemoryVersion } from "@anthropic-ai/sdk/resources/beta/memory-stores/memory-versions";
import type { BetaFileMetadata } from "@anthropic-ai/sdk/resources/beta/files";
import type { BetaModelInfo } from "@anthropic-ai/sdk/resources/beta/models";
import type {
  BetaManagedAgentsEventParams,
  BetaManagedAgentsSendSessionEvents,
  BetaManagedAgentsSessionEvent,
  BetaManagedAgentsStreamSessionEvents,
} from "@anthropic-ai/sdk/resources/beta/sessions/events";
import type {
  BetaManagedAgentsSessionResource,
  ResourceAddParams,
  ResourceUpdateParams,
} from "@anthropic-ai/sdk/resources/beta/sessions/resources";
import type {
  BetaManagedAgentsSession,
  SessionCreateParams,
  SessionUpdateParams,
} from "@anthropic-ai/sdk/resources/beta/sessions/sessions";
import type {
  BetaManagedAgentsSessionThread,
  BetaManagedAgentsStreamSessionThreadEvents,
} from "@anthropic-ai/sdk/resources/beta/sessions/threads/threads";
import type { BetaSkill } from "@anthropic-ai/sdk/resources/beta/skills/skills";
import type { BetaSkillVersion } from "@anthropic-ai/sdk/resources/beta/skills/versions";
import { expect, test } from "vitest";
import type { z } from "zod";
import {
  type Agent,
  type CreateAgentRequest,
  type UpdateAgentRequest,
  createAgentRequest,
  updateAgentRequest,
} from "./agents.ts";
import {
  type CreateDeploymentRequest,
  type Deployment,
  type DeploymentRun,
  type UpdateDeploymentRequest,
  createDeploymentRequest,
  updateDeploymentRequest,
} from "./deployments.ts";
import {
  type CreateEnvironmentRequest,
  type Environment,
  type UpdateEnvironmentRequest,
  createEnvironmentRequest,
} from "./environments.ts";
import { type SendableEvent, sendableEvent } from "./events.ts";
import type { CreateMemoryRequest, Memory, MemoryListItem, MemoryVersion, UpdateMemoryRequest } from "./memories.ts";
import type { CreateMemoryStoreRequest, MemoryStore, UpdateMemoryStoreRequest } from "./memory-stores.ts";
import type { UploadedFile } from "./files.ts";
import type { Model } from "./models.ts";
import type { Preview } from "./previews.ts";
import type { SentEvents, SessionEvent } from "./session-events.ts";
import type { ResourceInput, SessionResource, updateResourceRequest } from "./session-resources.ts";
import {
  type CreateSessionRequest,
  type Session,
  type UpdateSessionRequest,
  createSessionRequest,
} from "./sessions.ts";
import type { Skill, SkillVersion } from "./skills.ts";
import type { SessionThread } from "./threads.ts";
import type { WorkHeartbeat, WorkItem, WorkLeaseState, WorkSecret, WorkStats } from "./work.ts";

/** Answers: what we send is what the SDK promises its users. */
export const answers = {
  agent: (value: Agent): BetaManagedAgentsAgent => value,
  environment: (value: Environment): BetaEnvironment => value,
  deployment: (value: Deployment): BetaManagedAgentsDeployment => value,
  deploymentRun: (value: DeploymentRun): BetaManagedAgentsDeploymentRun => value,
  session: (value: Session): BetaManagedAgentsSession => value,
  event: (value: SessionEvent): BetaManagedAgentsSessionEvent => value,
  thread: (value: SessionThread): BetaManagedAgentsSessionThread => value,
  threadEvent: (value: SessionEvent): BetaManagedAgentsStreamSessionThreadEvents => value,
  sent: (value: SentEvents): BetaManagedAgentsSendSessionEvents => value,
  preview: (value: Exclude<Preview, { type: `x_exoloop.${string}` }>): BetaManagedAgentsStreamSessionEvents => value,
  model: (value: Model): BetaModelInfo => value,
  work: (value: WorkItem): BetaSelfHostedWork => value,
  heartbeat: (value: WorkHeartbeat): BetaSelfHostedWorkHeartbeatResponse => value,
  workStats: (value: WorkStats): BetaSelfHostedWorkQueueStats => value,
  workLease: (value: WorkLeaseState): BetaWorkLeaseState => value,
  workSecret: (value: WorkSecret): BetaWorkSecret => value,
  skill: (value: Skill): BetaSkill => value,
  skillVersion: (value: SkillVersion): BetaSkillVersion => value,
};

export const memoryAnswers = {
  file: (value: UploadedFile): BetaFileMetadata => value,
  store: (value: MemoryStore): BetaManagedAgentsMemoryStore => value,
  memory: (value: Memory): BetaManagedAgentsMemory => value,
  item: (value: MemoryListItem): BetaManagedAgentsMemoryListItem => value,
  version: (value: MemoryVersion): BetaManagedAgentsMemoryVersion => value,
  resource: (value: SessionResource): BetaManagedAgentsSessionResource => value,
};

type Sent<Params> = Omit<Params, "betas" | "workspace_id">;

/** Requests: whatever the SDK lets its users send has a place in our schema. */
export const requests = {
  createAgent: (value: Sent<AgentCreateParams>): CreateAgentRequest => value,
  updateAgent: (value: Sent<AgentUpdateParams>): UpdateAgentRequest => value,
  createEnvironment: (value: Sent<EnvironmentCreateParams>): CreateEnvironmentRequest => value,
  updateEnvironment: (value: Sent<EnvironmentUpdateParams>): UpdateEnvironmentRequest => value,
  event: (value: BetaManagedAgentsEventParams): SendableEvent => value,
};

export const memoryRequests = {
  createStore: (value: Sent<MemoryStoreCreateParams>): CreateMemoryStoreRequest => value,
  updateStore: (value: Sent<MemoryStoreUpdateParams>): UpdateMemoryStoreRequest => value,
  create: (value: Omit<Sent<MemoryCreateParams>, "view">): CreateMemoryRequest => value,
  update: (value: Omit<Sent<MemoryUpdateParams>, "view" | "memory_store_id">): UpdateMemoryRequest => value,
};

export const resourceRequests = {
  attached: (value: NonNullable<SessionCreateParams["resources"]>[number]): ResourceInput["type"] => value.type,
  add: (value: Sent<ResourceAddParams>): ResourceInput => value,
  update: (value: Omit<Sent<ResourceUpdateParams>, "session_id">): z.infer<typeof updateResourceRequest> => value,
};

export const deploymentRequests = {
  create: (value: Sent<DeploymentCreateParams>): keyof CreateDeploymentRequest =>
    Object.keys(value)[0] as keyof typeof value,
  update: (value: Sent<DeploymentUpdateParams>): keyof UpdateDeploymentRequest =>
    Object.keys(value)[0] as keyof typeof value,
};

export const sessionRequests = {
  create: (value: Sent<SessionCreateParams>): keyof CreateSessionRequest => Object.keys(value)[0] as keyof typeof value,
  update: (value: Sent<SessionUpdateParams>): keyof UpdateSessionRequest => Object.keys(value)[0] as keyof typeof value,
};

test("requests for agents that the SDK's types allow are accepted", () => {
  const agent: Sent<AgentCreateParams> = {
    name: "a",
    model: { id: "claude-opus-5-5", effort: "high", speed: null },
    tools: [
      {
        type: "agent_toolset_20260401",
        configs: [{ name: "bash", permission_policy: { type: "always_ask" } }],
      },
      { type: "mcp_toolset", mcp_server_name: "m", default_config: null },
      {
        type: "custom",
        name: "c",
        description: "d",
        input_schema: { type: "object", additionalProperties: false },
      },
    ],
    mcp_servers: [{ type: "url", name: "m", url: "https://example.com/mcp" }],
    metadata: { a: "b" },
    execution_identity: null,
    multiagent: {
      type: "multiagent_20261001",
      advisor: null,
      subagents: {
        type: "enabled",
        predefined_agents: ["agent_1", { type: "agent", id: "agent_2" }, { type: "self" }],
      },
      workflows: { type: "disabled" },
    },
  };
  expect(createAgentRequest.parse(agent)).toEqual(agent);
  const update: Sent<AgentUpdateParams> = {
    version: 1,
    tools: null,
    metadata: { a: null },
    multiagent: { type: "coordinator", agents: ["agent_1", { type: "advisor", model: "m" }] },
  };
  expect(updateAgentRequest.parse(update)).toEqual(update);
});

test("requests for environments, sessions and deployments that the SDK's types allow are accepted", () => {
  const environment: Sent<EnvironmentCreateParams> = {
    name: "e",
    config: {
      type: "cloud",
      networking: { type: "limited", allowed_hosts: ["*.example.com"] },
      packages: null,
    },
  };
  expect(createEnvironmentRequest.parse(environment)).toEqual(environment);
  const event: BetaManagedAgentsEventParams = {
    type: "user.message",
    content: [{ type: "text", text: "hi" }],
  };
  expect(sendableEvent.parse(event)).toEqual(event);
  const session: Sent<SessionCreateParams> = {
    agent: { type: "agent", id: "agent_1" },
    environment_id: "env_1",
    initial_events: [event],
    resources: [
      { type: "memory_store", memory_store_id: "memstore_1", access: null, instructions: "Read first." },
      { type: "file", file_id: "file_1", mount_path: null },
      { type: "github_repository", url: "https://github.com/a/b", authorization_token: "t" },
    ],
  };
  expect(createSessionRequest.parse(session)).toEqual(session);
});

test("requests about deployments that the SDK's types allow are accepted", () => {
  const event: BetaManagedAgentsEventParams = { type: "user.message", content: [{ type: "text", text: "hi" }] };
  const deployment: Sent<DeploymentCreateParams> = {
    name: "nightly",
    agent: { type: "agent", id: "agent_1", version: 2 },
    environment_id: "env_1",
    initial_events: [event, { type: "system.message", content: [{ type: "text", text: "Be brief." }] }],
    schedule: { type: "cron", expression: "0 9 * * 1-5", timezone: "Europe/Berlin" },
    resources: [],
    vault_ids: [],
    budget: null,
  };
  expect(createDeploymentRequest.parse(deployment)).toEqual(deployment);
  const cleared: Sent<DeploymentUpdateParams> = { schedule: null, resources: null, metadata: null, description: null };
  expect(updateDeploymentRequest.parse(cleared)).toEqual(cleared);
});
