/** The composition root: the only file that names concrete implementations. @module */
import type { SandboxProvider } from "@exoloop/sandbox/contract";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { createUnavailableProvider } from "@exoloop/sandbox/providers/unavailable";
import { openBlobStore } from "./blobs/open-store.ts";
import type { BlobStore } from "./blobs/store.ts";
import { createSharedBudget } from "./budgets/shared-budgets.ts";
import type { Config } from "./config.ts";
import { type Database, openDatabase } from "./db/database.ts";
import { migrate } from "./db/migrate.ts";
import { deleteExpired } from "./db/retention.ts";
import { settleIntervalMs, settleTexts } from "./files/postgres/settle-texts.ts";
import { lookForDueRuns, lookInterval } from "./deployments/watch.ts";
import type { Engine } from "./engine/engine.ts";
import { createPgBossEngine } from "./engine/pg-boss-engine.ts";
import { StartupError } from "./errors.ts";
import { createSkillService } from "./files/postgres/skills/skill-service.ts";
import { createStoredFiles, type StoredFiles } from "./files/postgres/stored-files.ts";
import { createHistoryStore } from "./files/history-store.ts";
import { createBaselineCache } from "./files/projection/baseline.ts";
import { createFileHistoryService } from "./files/filesystem/history.ts";
import { createFilesystem } from "./files/filesystem/service.ts";
import { createProjection } from "./files/projection.ts";
import { createSessionFiles } from "./files/session-files.ts";
import { readSessionView } from "./files/session-mounts.ts";
import { encodeText } from "./files/text.ts";
import { createApp } from "./http/app.ts";
import { listen } from "./http/listen.ts";
import { driveTurn, type DriverDependencies } from "./loop/driver.ts";
import { loopProtocolVersion } from "./loop/protocol-version.ts";
import { createModelCatalog, readCatalogOverrides } from "./models/catalog.ts";
import { ModelError } from "./models/model.ts";
import { createModels, defaultModel, listFromDefault } from "./models/registry.ts";
import { createFirstOrganization } from "./orgs/organizations.ts";
import { createBackgroundCommands } from "./sandboxes/background/readings.ts";
import type { Projection } from "./sandboxes/command-runner.ts";
import { openSandboxRoom, type SandboxRoom } from "./sandboxes/room.ts";
import { resourcesOf } from "./sandboxes/configured-resources.ts";
import { collectionInterval, collectionWork } from "./sandboxes/snapshots/collect.ts";
import type { SandboxOwner } from "./sandboxes/workspace.ts";
import { createNoticeBoard } from "./sessions/notice-board.ts";
import type { NoticeBoard } from "./sessions/notices.ts";
import { createServices, type StorageServices } from "./services.ts";
import { readTurnSkills } from "./skills/turn-skills.ts";
import { wakeOlderSessions } from "./sessions/protocol-sweep.ts";
import type { Logger } from "./telemetry/logger.ts";
import { builtInTools } from "./tools/built-in.ts";
import { createToolRegistry } from "./tools/registry.ts";
import { type ContextParts, createToolContext } from "./tools/session-context.ts";
import type { Tool } from "./tools/tool.ts";
import { createUploadedFiles } from "./uploads/uploaded-files.ts";
import { finishDeliveries } from "./webhooks/deliver.ts";

export interface RunningServer {
  readonly url: string;
  readonly firstAdminKey: string | null;
  readonly model: string;
  importSkill(name: string, files: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
}

/** Where the launcher has put what the server uses. */
export interface Places {
  readonly databaseUrl: string;
  /** The sandbox host's socket; null where no sandbox can be had. */
  readonly sandboxSocket: string | null;
}

/** What a bench puts beside and around the server's own parts; nothing in a server of one's own. */
export interface ServerOverrides {
  /** After the built-in ones. */
  readonly tools?: readonly Tool[];
  readonly wrapEffects?: NonNullable<DriverDependencies["wrapEffects"]>;
  readonly wrapProjection?: (projection: Projection, owner: SandboxOwner) => Projection;
  readonly wrapBlobs?: (blobs: BlobStore) => BlobStore;
}

const stopGraceMs = 5_000;
const retentionMs = 60_000;
/** Deliveries that a lost process left half given. */
const deliveriesMs = 15_000;

/** Starts HTTP and worker in this process. */
export async function startServer(
  config: Config,
  places: Places,
  log: Logger,
  overrides: ServerOverrides = {},
): Promise<RunningServer> {
  const { databaseUrl } = places;
  const model = config.defaultModel ?? (await findDefaultModel(config));
  await migrate(databaseUrl);
  const database = await openDatabase(databaseUrl, {
    maximumConnections: config.concurrency + 10,
    applicationName: "exoloop server",
  });
  const first = await createFirstOrganization(database);
  const notices = await createNoticeBoard({ connectionString: databaseUrl, log });
  const engine = createPgBossEngine({
    connectionString: databaseUrl,
    database,
    concurrency: config.concurrency,
    workerTimeout: config.workerTimeoutSeconds * 1000,
    log,
  });
  engine.every("search texts", settleIntervalMs, async (signal) => void (await settleTexts(database, signal)));
  engine.every("retention", retentionMs, async (signal) => void (await deleteExpired(database, signal)));
  engine.every("webhook deliveries", deliveriesMs, (signal) =>
    finishDeliveries({ database, engine, notices, log }, signal),
  );
  const sandboxes = await openSandboxes(config, places, database, notices, log, overrides);
  engine.every("snapshots", collectionInterval, collectionWork({ database, blobs: sandboxes.blobs, log }));
  sandboxes.room.keep(engine, config.sandboxes);
  const dependencies = driverDependencies({ config, database, engine, notices, sandboxes, log }, overrides);
  const schedules = { database, engine, notices, log };
  engine.every("deployments", lookInterval, (signal) => lookForDueRuns(schedules, signal));
  await engine.start(({ sessionId }) => driveTurn(dependencies, sessionId));
  sandboxes.room.begin(config.sandboxes);
  if (config.concurrency > 0) await wakeOlderSessions(database, engine, loopProtocolVersion);
  const models = () => listFromDefault(dependencies.models, model);
  const { room } = sandboxes;
  const { catalog } = dependencies;
  const { publicUrl } = config;
  const storage = storageServices(database, sandboxes);
  const http = createApp(createServices({ database, engine, notices, room, models, catalog, publicUrl, storage, log }));
  const listener = await listen(http, config.host, config.port);
  return {
    url: listener.url,
    firstAdminKey: first.apiKey,
    model,
    async importSkill(name, contents) {
      const files = Object.entries(contents).map(([path, text]) => ({ path, bytes: encodeText(text) }));
      await sandboxes.files.importSkill(first.organizationId, name, files);
    },
    async stop() {
      await listener.stop(stopGraceMs);
      await engine.stop(stopGraceMs);
      await sandboxes.room.stop();
      await notices.close();
      await database.destroy();
    },
  };
}

function storageServices(database: Database, { files, blobs }: Sandboxes): StorageServices {
  return {
    skills: createSkillService(database),
    filesystem: createFilesystem({ database, files }),
    fileHistory: createFileHistoryService({ database, files }),
    files: createUploadedFiles({ database, blobs }),
  };
}

async function findDefaultModel(config: Config): Promise<string> {
  try {
    return await defaultModel(modelsConfig(config));
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new StartupError(`${error.message} Check OPENAI_BASE_URL, or name a model with EXOLOOP_DEFAULT_MODEL.`);
  }
}

interface Sandboxes {
  readonly blobs: BlobStore;
  readonly room: SandboxRoom;
  readonly files: StoredFiles;
  readonly viewOf: ContextParts["viewOf"];
  readonly filesOf: ContextParts["filesOf"];
}

/** What this machine has. @throws StartupError when the configured one is not among it. */
async function openProviders(config: Config, { sandboxSocket }: Places): Promise<ReadonlyMap<string, SandboxProvider>> {
  const wanted = config.sandboxes.provider;
  if (sandboxSocket === null) {
    const reason = "This server runs without sandboxes.";
    return new Map([[wanted, createUnavailableProvider(reason, "Start it with EXOLOOP_SANDBOX=auto.")]]);
  }
  const providers = new Map<string, SandboxProvider>();
  for (const runtime of ["bubblewrap", "gvisor"] as const) {
    try {
      const provider = await createLocalProvider({ socketPath: sandboxSocket, runtime });
      providers.set(provider.id, provider);
    } catch (error) {
      if (!(error instanceof SandboxUnavailableError)) throw error;
    }
  }
  if (providers.has(wanted)) return providers;
  const present = [...providers.keys()].join(", ");
  throw new StartupError(
    `EXOLOOP_SANDBOX_PROVIDER is ${wanted}, which this machine does not have (it has: ${present}). Run \`exoloop doctor\`.`,
  );
}

async function openSandboxes(
  config: Config,
  places: Places,
  database: Database,
  notices: NoticeBoard,
  log: Logger,
  { wrapBlobs, wrapProjection }: ServerOverrides,
): Promise<Sandboxes> {
  const blobs = openBlobStore(config.blobs);
  const files = createStoredFiles(database);
  const baselines = createBaselineCache();
  const viewOf = (owner: SandboxOwner) => readSessionView(database, owner);
  const room = await openSandboxRoom({
    database,
    notices,
    log,
    blobs: wrapBlobs?.(blobs) ?? blobs,
    providers: await openProviders(config, places),
    defaultProvider: config.sandboxes.provider,
    resources: resourcesOf(config.sandboxes),
    projectionOf: (owner) => {
      const projectionNow = async () => {
        const { userId, mounts, ...read } = await viewOf(owner);
        const untrusted = read.untrusted || read.holdsUntrusted;
        return createProjection({ files, baselines, ...owner, userId, mounts, untrusted });
      };
      const projection: Projection = {
        before: async (workspace) => (await projectionNow()).before(workspace),
        after: async (workspace, toolUseId) => (await projectionNow()).after(workspace, toolUseId),
        settle: async (workspace) => (await projectionNow()).settle(workspace),
      };
      return wrapProjection?.(projection, owner) ?? projection;
    },
  });
  return {
    blobs,
    room,
    files,
    viewOf,
    filesOf: (owner, { mounts }, trace) =>
      createSessionFiles({
        files,
        ...owner,
        mounts,
        trace,
        history: createHistoryStore(database, owner.sessionId),
        useWorkspace: (use, options) => room.workspaces.useFiles(owner, options, use),
      }),
  };
}

interface Parts {
  readonly config: Config;
  readonly database: Database;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
  readonly sandboxes: Sandboxes;
  readonly log: Logger;
}

function modelsConfig(config: Config) {
  return {
    anthropicApiKey: config.anthropic.apiKey?.reveal(),
    anthropicBaseUrl: config.anthropic.baseUrl ?? undefined,
    openaiApiKey: config.openai.apiKey?.reveal(),
    openaiBaseUrl: config.openai.baseUrl ?? undefined,
    silence: { firstPartMs: config.models.firstPartTimeoutMs, nextPartMs: config.models.nextPartTimeoutMs },
  };
}

function driverDependencies(
  { config, database, engine, notices, sandboxes, log }: Parts,
  { tools = [], wrapEffects }: ServerOverrides,
): DriverDependencies {
  const { room, files, viewOf, filesOf } = sandboxes;
  const parts: ContextParts = {
    viewOf,
    filesOf,
    commandsOf: room.commandsOf,
    saveFiles: room.saveFiles,
    backgroundOf: (owner) => createBackgroundCommands({ database, background: room.background }, owner),
    describeOrigin: (owner, { mounts }, path) => files.describeOrigin(owner.organizationId, mounts, path),
  };
  return {
    ...(wrapEffects === undefined ? {} : { wrapEffects }),
    approvalMs: config.approvalSeconds * 1000,
    database,
    engine,
    notices,
    log,
    models: createModels(modelsConfig(config)),
    catalog: createModelCatalog(readCatalogOverrides(config.models.catalog)),
    tools: createToolRegistry([...builtInTools, ...tools]),
    sharedBudget: createSharedBudget(database),
    readSkills: (claim, ...rest) => readTurnSkills(sandboxes.files.sessionSkills, claim, ...rest),
    captureWorkspace: (claim) => sandboxes.room.workspaces.capture(claim),
    sandboxWake: sandboxes.room.workspaces,
    toolContext: (claim, call, options) => createToolContext(parts, claim, call, options),
  };
}
