/**
 * What the commands need of a server, in the protocol's words. `connection.ts` makes it from the client package.
 * @module
 */
import type {
  Deployment,
  DeploymentRun,
  DeploymentStatus,
  MissedRunsPolicy,
  OverlapPolicy,
} from "@exoloop/protocol/deployments";
import type { SendableEvent } from "@exoloop/protocol/events";
import type {
  Budget,
  BudgetDeletion,
  BudgetName,
  PublicBudgetLimits,
  PutBudgetRequest,
  UsageReport,
} from "@exoloop/protocol/budgets";
import type { SignalName } from "@exoloop/protocol/commands";
import type {
  BackgroundCommand,
  CommandResult,
  CommandSignal,
  CreatePreviewRequest,
  PortPreview,
  Sandbox,
  SandboxKill,
  SessionSandbox,
} from "@exoloop/protocol/sandboxes";
import type { Session, SessionShare, SessionStatus } from "@exoloop/protocol/sessions";
import type { WorkspaceSnapshot } from "@exoloop/protocol/snapshots";
import type { SessionThread } from "@exoloop/protocol/threads";
import type {
  CreateUserKeyRequest,
  CreateUserRequest,
  User,
  UserKey,
  UserKeyWithSecret,
} from "@exoloop/protocol/users";
import type { Webhook, WebhookDelivery, WebhookWithSecret } from "@exoloop/protocol/webhooks";
import type { FilesApi } from "./files-api.ts";
import type { SkillsApi } from "./skills-api.ts";
import type { EnvironmentKey, EnvironmentKeyWithSecret } from "@exoloop/protocol/work";
import type { StreamedEvent } from "./render/transcript.ts";

export interface Named {
  readonly id: string;
  readonly name: string;
}

interface NewAgent {
  readonly name: string;
  readonly model: string;
  readonly system: string;
}

export interface NewSession {
  readonly agentId: string;
  /** Another model than the agent's. */
  readonly model?: string;
  readonly environmentId: string;
  readonly title: string;
  /** First message; without one the session waits. */
  readonly message?: string;
  /** What its workspace begins with. */
  readonly workspaceSnapshot?: string;
  /** The message is an outcome, which is reached when it meets this. */
  readonly rubric?: { readonly text: string; readonly maximumIterations?: number };
}

interface NewDeployment {
  readonly name: string;
  readonly agentId: string;
  readonly environmentId: string;
  readonly message: string;
  /** Without one it is started by hand. */
  readonly schedule?: { readonly expression: string; readonly timezone: string };
  readonly missedRuns?: MissedRunsPolicy;
  readonly overlap?: OverlapPolicy;
}

interface RunQuery {
  readonly limit: number;
  readonly deploymentId?: string;
  /** Only those that could not be started. */
  readonly failed?: boolean;
}

/** Newest first, everywhere. */
export interface DeploymentApi {
  createDeployment(deployment: NewDeployment): Promise<Deployment>;
  deployment(id: string): Promise<Deployment>;
  deployments(query: { readonly limit: number; readonly status?: DeploymentStatus }): Promise<readonly Deployment[]>;
  changeDeployment(id: string, verb: "pause" | "unpause" | "archive"): Promise<Deployment>;
  runDeployment(id: string): Promise<DeploymentRun>;
  deploymentRuns(query: RunQuery): Promise<readonly DeploymentRun[]>;
}

/** As the commands ask; an absent member does not limit the report. */
interface UsageQuery {
  readonly period: Budget["period"];
  readonly scope?: Budget["scope"];
  readonly subject?: string;
  readonly from?: string;
  readonly to?: string;
}

export interface BudgetApi {
  /** Those that sessions share. */
  budgets(): Promise<readonly Budget[]>;
  setBudget(request: PutBudgetRequest): Promise<Budget>;
  removeBudget(name: BudgetName): Promise<BudgetDeletion>;
  /** Sets the limits that are given; null removes them all. */
  setSessionBudget(sessionId: string, limits: PublicBudgetLimits | null): Promise<Session>;
  usage(query: UsageQuery): Promise<UsageReport>;
  usageCsv(query: UsageQuery): Promise<string>;
}

/** Newest first. */
export interface UserApi {
  users(): Promise<readonly User[]>;
  createUser(request: CreateUserRequest): Promise<User>;
  archiveUser(id: string): Promise<User>;
  userKeys(id: string): Promise<readonly UserKey[]>;
  createUserKey(id: string, request: CreateUserKeyRequest): Promise<UserKeyWithSecret>;
  revokeUserKey(id: string, keyId: string): Promise<UserKey>;
  shareSession(id: string): Promise<SessionShare>;
}

/** Newest first. */
export interface WebhookApi {
  webhooks(): Promise<readonly Webhook[]>;
  createWebhook(name: string): Promise<WebhookWithSecret>;
  rotateWebhook(id: string): Promise<WebhookWithSecret>;
  deleteWebhook(id: string): Promise<void>;
  deliver(
    id: string,
    delivery: { readonly secret: string; readonly payload: string; readonly deliveryId?: string },
  ): Promise<WebhookDelivery>;
}

export interface SandboxApi {
  /** Last used first. */
  sandboxes(): Promise<readonly Sandbox[]>;
  sandbox(sessionId: string): Promise<SessionSandbox>;
  killSandbox(sessionId: string): Promise<SandboxKill>;
  moveSandbox(sessionId: string, provider: string): Promise<SessionSandbox>;
  /** Oldest first. */
  backgroundCommands(sessionId: string): Promise<readonly BackgroundCommand[]>;
  /** What there is from a byte on, a bounded part of it. */
  commandOutput(
    sessionId: string,
    commandId: string,
    offset: number,
  ): Promise<{
    readonly bytes: Uint8Array;
    readonly offset: number;
    readonly nextOffset: number;
    readonly state: BackgroundCommand["state"];
  }>;
  signalCommand(sessionId: string, commandId: string, signal: SignalName): Promise<CommandSignal>;
  renewLease(sessionId: string, commandId: string, seconds: number): Promise<BackgroundCommand>;
  previewPort(sessionId: string, request: CreatePreviewRequest): Promise<PortPreview>;
}

/** Newest first. */
export interface EnvironmentApi {
  /** Those that are not archived; `kind` as the API calls it. */
  environments(): Promise<readonly (Named & { readonly kind?: string })[]>;
  createEnvironment(name: string, options?: { readonly selfHosted?: boolean }): Promise<Named>;
  environmentKeys(environmentId: string): Promise<readonly EnvironmentKey[]>;
  createEnvironmentKey(environmentId: string, name: string): Promise<EnvironmentKeyWithSecret>;
  revokeEnvironmentKey(environmentId: string, keyId: string): Promise<void>;
}

export interface Api
  extends EnvironmentApi, BudgetApi, DeploymentApi, FilesApi, SandboxApi, SkillsApi, UserApi, WebhookApi {
  /** Those that are not archived, newest first. */
  agents(): Promise<readonly Named[]>;
  /** With the whole built-in toolset, every call allowed. */
  createAgent(agent: NewAgent): Promise<Named>;
  /** The model that a default agent gets: the first of the server's list. */
  defaultModel(): Promise<string>;
  createSession(session: NewSession): Promise<Session>;
  session(id: string): Promise<Session>;
  /** Newest first. */
  sessions(query: { readonly limit: number; readonly status?: SessionStatus }): Promise<readonly Session[]>;
  send(sessionId: string, events: readonly SendableEvent[]): Promise<void>;
  /** Every durable event so far, in order. */
  history(sessionId: string): AsyncIterable<StreamedEvent>;
  /**
   * Every durable event from the first on, then live ones and preview frames. Reconnects by itself; ends when the
   * session has ended or `signal` aborts. `onReconnect` is told each time the connection broke.
   */
  follow(sessionId: string, signal: AbortSignal, onReconnect?: () => void): AsyncIterable<StreamedEvent>;
  /** The session's own conversation first, then those of the agents that it has given work to. */
  threads(sessionId: string): AsyncIterable<SessionThread>;
  /** Every durable event of a thread from the first on, then live ones; as `follow` does. */
  followThread(sessionId: string, threadId: string, signal: AbortSignal): AsyncIterable<StreamedEvent>;
  /** Of the session's workspace, newest first. */
  snapshots(sessionId: string): AsyncIterable<WorkspaceSnapshot>;
  /** Runs a command in the session's sandbox, after those that run there. */
  runCommand(sessionId: string, command: string): Promise<CommandResult>;
  /** Ends the session and gives its sandbox back. */
  archiveSession(sessionId: string): Promise<void>;
}

/** @example userMessage("Fix the test.") */
export function userMessage(text: string): Extract<SendableEvent, { type: "user.message" }> {
  return { type: "user.message", content: [{ type: "text", text }] };
}

export function definedOutcome(
  description: string,
  { text, maximumIterations }: NonNullable<NewSession["rubric"]>,
): Extract<SendableEvent, { type: "user.define_outcome" }> {
  return {
    type: "user.define_outcome",
    description,
    rubric: { type: "text", content: text },
    ...(maximumIterations === undefined ? {} : { max_iterations: maximumIterations }),
  };
}

/** Heard when what runs has ended, not while it runs. */
export function queuedMessage(text: string): Extract<SendableEvent, { type: "user.message" }> {
  return { ...userMessage(text), x_exoloop: { delivery: "queue" } };
}
