/** The services behind HTTP, put together from what the composition root has opened. @module */
import { createId } from "@exoloop/protocol/ids";
import { createAgentRepository } from "./agents/agents.ts";
import { createEnvironmentRepository } from "./agents/environments.ts";
import { createBudgetService } from "./budgets/budget-service.ts";
import { readUsageReport, writeCsv } from "./budgets/usage-report.ts";
import type { Database } from "./db/database.ts";
import { createDeploymentRuns } from "./deployments/runs.ts";
import { createDeploymentService } from "./deployments/service.ts";
import type { Engine } from "./engine/engine.ts";
import type { AppDependencies } from "./http/app.ts";
import { createRequestOnce } from "./http/idempotency.ts";
import { createMemoryServices } from "./files/memory/memory-services.ts";
import type { ModelCatalog } from "./models/catalog.ts";
import { createAuthenticator } from "./orgs/api-keys.ts";
import { createEnvironmentKeys } from "./orgs/environment-keys.ts";
import { createUserRepository } from "./orgs/users.ts";
import { createPreviewProxy } from "./previews/proxy.ts";
import { createPreviews } from "./previews/previews.ts";
import { createPersonCommands } from "./sandboxes/person-commands.ts";
import { createSnapshotRepository } from "./sandboxes/snapshots/listed-snapshots.ts";
import { listSandboxes } from "./sandboxes/summary.ts";
import type { SandboxRoom } from "./sandboxes/room.ts";
import { createSessionSandboxes } from "./sandboxes/session-sandboxes.ts";
import type { NoticeBoard } from "./sessions/notices.ts";
import type { EndDependencies } from "./sessions/end-session.ts";
import { createSessionResources } from "./sessions/resources/service.ts";
import { createSessionService } from "./sessions/service.ts";
import { createThreadService } from "./sessions/threads.ts";
import type { Logger } from "./telemetry/logger.ts";
import { createWebhookReceiver } from "./webhooks/deliver.ts";
import { createWebhookRepository } from "./webhooks/webhooks.ts";
import { createWorkService } from "./work/service.ts";

/** What people keep: files, memories, skills. */
export type StorageServices = Pick<AppDependencies, "skills" | "filesystem" | "fileHistory" | "files">;

export interface ServiceParts {
  readonly database: Database;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
  readonly room: SandboxRoom;
  readonly storage: StorageServices;
  readonly models: NonNullable<AppDependencies["models"]>;
  readonly catalog: ModelCatalog;
  /** At which people reach this server; null: as they name it. */
  readonly publicUrl: URL | null;
  readonly log: Logger;
}

export function createServices(parts: ServiceParts): AppDependencies {
  const { database, engine, notices, room, models, catalog, publicUrl, log } = parts;
  const { workspaces, commandsOf, ports } = room;
  const previews = createPreviews({ database, ports, log });
  const ending: EndDependencies = {
    database,
    engine,
    notices,
    releaseSandbox: (owner) =>
      workspaces
        .release(owner)
        .catch((error: unknown) => log.error({ session: owner.sessionId, error }, "sandbox not destroyed")),
  };
  const sessions = createSessionService({
    ...ending,
    captureWorkspace: workspaces.capture,
    dropSandbox: room.drop,
    isPriced: (model) => catalog.describe(model).price !== null,
  });
  return {
    sessions,
    threads: createThreadService(ending),
    users: createUserRepository(database),
    agents: createAgentRepository(database),
    environments: createEnvironmentRepository(database),
    deployments: createDeploymentService({ database, engine, notices, log }),
    deploymentRuns: createDeploymentRuns(database),
    memory: createMemoryServices(database),
    sessionResources: createSessionResources({ database, notices }),
    budgets: {
      ...createBudgetService({ database, engine }),
      usage: ({ organizationId }, query) => readUsageReport(database, organizationId, query),
      writeCsv,
    },
    authenticate: createAuthenticator(database),
    once: createRequestOnce(database),
    notices,
    health: { ready: () => askDatabase(database) },
    models,
    ...parts.storage,
    commands: createPersonCommands({ sessions, commandsOf, newId: () => createId("event") }),
    sandboxes: { list: (principal) => listSandboxes(database, principal) },
    sessionSandboxes: createSessionSandboxes({ database, sessions, room, previews, publicUrl }),
    previews: createPreviewProxy(previews, log, { publicUrl }),
    snapshots: createSnapshotRepository(database),
    workers: {
      work: createWorkService({ database, engine, notices }),
      keys: createEnvironmentKeys(database),
      publicUrl,
    },
    webhooks: {
      repository: createWebhookRepository(database, engine),
      receiver: createWebhookReceiver({ database, engine, notices, log }),
    },
    log,
  };
}

async function askDatabase(database: Database): Promise<void> {
  await database.selectFrom("organizations").select("id").limit(1).execute();
}
