/** The HTTP side of the server, put together from what it is given. @module */
import { createId } from "@exoloop/protocol/ids";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { AgentRepository } from "../agents/agents.ts";
import type { EnvironmentRepository } from "../agents/environments.ts";
import type { DeploymentRuns, DeploymentService } from "../deployments/port.ts";
import { Problem } from "../errors.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Authenticate } from "./authentication.ts";
import type { RequestOnce } from "./idempotency.ts";
import { createEventStreams } from "./event-stream.ts";
import { addDescriptionRoute } from "./openapi.ts";
import { answerError } from "./problem.ts";
import type { App, AppEnvironment } from "./route.ts";
import { addAgentRoutes } from "./routes/agents.ts";
import { addDeploymentRoutes, addDeploymentRunRoutes } from "./routes/deployments.ts";
import { addEnvironmentRoutes } from "./routes/environments.ts";
import { addEnvironmentKeyRoutes } from "./routes/environment-keys.ts";
import { addWorkRoutes } from "./routes/work.ts";
import { addBudgetRoutes, type BudgetPort } from "./routes/budgets.ts";
import { addFileRoutes } from "./routes/files.ts";
import { addEventRoutes } from "./routes/events.ts";
import { type HealthPort, addHealthRoutes } from "./routes/health.ts";
import { addMemoryRoutes, addMemoryVersionRoutes } from "./routes/memories.ts";
import { addMemoryStoreRoutes } from "./routes/memory-stores.ts";
import { type ModelEntry, addModelRoutes } from "./routes/models.ts";
import { type CommandPort, type SandboxPort, addCommandRoute, addSandboxRoute } from "./routes/sandboxes.ts";
import { addFileHistoryRoutes, type FileHistoryPort } from "./routes/file-history.ts";
import { addFilesystemRoutes, type FilesystemPort } from "./routes/filesystem.ts";
import { addSnapshotRoutes, type SnapshotPort } from "./routes/snapshots.ts";
import { addSessionResourceRoutes } from "./routes/session-resources.ts";
import { addSessionSandboxRoutes, type SessionSandboxPort } from "./routes/session-sandboxes.ts";
import { addSessionRoutes } from "./routes/sessions.ts";
import { addSkillRoutes } from "./routes/skills.ts";
import { addThreadRoutes } from "./routes/threads.ts";
import { addUserRoutes } from "./routes/users.ts";
import { addWebhookRoutes } from "./routes/webhooks.ts";
import type { UploadedFiles } from "../uploads/uploaded-files.ts";
import type { PreviewProxy } from "../previews/proxy.ts";
import type { MemoryServices } from "../files/memory/memory-services.ts";
import type { SessionResourceService } from "../sessions/resources/service.ts";
import type { SessionService, ThreadService } from "../sessions/port.ts";
import type { EnvironmentKeyRepository } from "../orgs/environment-keys.ts";
import type { WorkService } from "../work/service.ts";
import type { UserRepository } from "../orgs/users.ts";
import type { SkillService } from "../skills/port.ts";
import type { WebhookReceiver } from "../webhooks/deliver.ts";
import type { WebhookRepository } from "../webhooks/webhooks.ts";

export interface AppDependencies {
  readonly sessions: SessionService;
  readonly threads: ThreadService;
  readonly agents: AgentRepository;
  readonly environments: EnvironmentRepository;
  readonly deployments: DeploymentService;
  readonly deploymentRuns: DeploymentRuns;
  readonly users?: UserRepository;
  readonly memory?: MemoryServices;
  readonly files?: UploadedFiles;
  readonly sessionResources?: SessionResourceService;
  readonly authenticate: Authenticate;
  /** Remembers requests that carry an Idempotency-Key. */
  readonly once: RequestOnce;
  readonly notices: NoticeBoard;
  readonly health: HealthPort;
  readonly log: Logger;
  readonly models?: () => readonly ModelEntry[];
  readonly commands?: CommandPort;
  readonly sandboxes?: SandboxPort;
  readonly sessionSandboxes?: SessionSandboxPort;
  readonly snapshots?: SnapshotPort;
  readonly filesystem?: FilesystemPort;
  readonly fileHistory?: FileHistoryPort;
  readonly budgets?: BudgetPort;
  readonly skills?: SkillService;
  readonly webhooks?: { readonly repository: WebhookRepository; readonly receiver: WebhookReceiver };
  /** What workers of self-hosted environments do. */
  readonly workers?: {
    readonly work: WorkService;
    readonly keys: EnvironmentKeyRepository;
    readonly publicUrl: URL | null;
  };
  /** Requests for previews: judged before the app sees them. */
  readonly previews?: PreviewProxy;
  /** Between two signs of life on a stream. */
  readonly pingMilliseconds?: number;
}

export interface HttpApp {
  readonly app: App;
  readonly previews?: PreviewProxy;
  /** Ends the event streams, so that their connections can close. */
  closeStreams(): void;
}

/** @example const { app } = createApp(dependencies); await app.request("/health"); */
export function createApp(dependencies: AppDependencies): HttpApp {
  const { log } = dependencies;
  const app: App = new OpenAPIHono<AppEnvironment>();
  app.use(async (c, next) => {
    const requestId = createId("request");
    c.set("requestId", requestId);
    await next();
    c.res.headers.set("request-id", requestId);
  });
  app.onError((error, c) => answerError(error, c.get("requestId"), log));
  app.notFound((c) => {
    const { pathname } = new URL(c.req.url);
    const shown = pathname.length > 200 ? `${pathname.slice(0, 200)}…` : pathname;
    const problem = new Problem(
      "not_found",
      `There is no ${c.req.method} ${shown}.`,
      "Every path of this server is described in /openapi.json.",
    );
    return answerError(problem, c.get("requestId"), log);
  });
  addHealthRoutes(app, dependencies.health);
  addDescriptionRoute(app);
  const streams = createEventStreams(dependencies);
  const context = { app, authenticate: dependencies.authenticate, once: dependencies.once };
  addAgentRoutes(context, dependencies.agents);
  addEnvironmentRoutes(context, dependencies.environments);
  addSessionRoutes(context, dependencies.sessions);
  addEventRoutes(context, dependencies.sessions, streams);
  addThreadRoutes(context, dependencies.threads, streams);
  addDeploymentRoutes(context, dependencies.deployments);
  addDeploymentRunRoutes(context, dependencies.deploymentRuns);
  const { sessionResources } = dependencies;
  if (sessionResources !== undefined) addSessionResourceRoutes(context, sessionResources);
  if (dependencies.files !== undefined) addFileRoutes(context, dependencies.files);
  if (dependencies.memory !== undefined) {
    addMemoryStoreRoutes(context, dependencies.memory.stores);
    addMemoryRoutes(context, dependencies.memory.memories);
    addMemoryVersionRoutes(context, dependencies.memory.versions);
  }
  addModelRoutes(context, dependencies.models ?? (() => []));
  if (dependencies.commands !== undefined) addCommandRoute(context, dependencies.commands);
  if (dependencies.sandboxes !== undefined) addSandboxRoute(context, dependencies.sandboxes);
  if (dependencies.sessionSandboxes !== undefined) addSessionSandboxRoutes(context, dependencies.sessionSandboxes);
  if (dependencies.snapshots !== undefined) addSnapshotRoutes(context, dependencies.snapshots);
  if (dependencies.skills !== undefined) addSkillRoutes(context, dependencies.skills);
  if (dependencies.filesystem !== undefined) addFilesystemRoutes(context, dependencies.filesystem);
  if (dependencies.fileHistory !== undefined) addFileHistoryRoutes(context, dependencies.fileHistory);
  if (dependencies.budgets !== undefined) addBudgetRoutes(context, dependencies.budgets);
  if (dependencies.users !== undefined) addUserRoutes(context, dependencies.users);
  const { webhooks } = dependencies;
  if (webhooks !== undefined) addWebhookRoutes(context, webhooks.repository, webhooks.receiver);
  const { previews, workers } = dependencies;
  if (workers !== undefined) {
    addEnvironmentKeyRoutes(context, workers.keys);
    addWorkRoutes(context, workers.work, workers.publicUrl);
  }
  return { app, closeStreams: streams.closeAll, ...(previews === undefined ? {} : { previews }) };
}
