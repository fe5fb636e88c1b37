/** The app with real repositories, a real session log and a real notice board, for tests. Only the engine is missing. @module */
import { randomUUID } from "node:crypto";
import { createAgentRepository } from "../agents/agents.ts";
import { createEnvironmentRepository } from "../agents/environments.ts";
import { createDeploymentRuns } from "../deployments/runs.ts";
import { createDeploymentService } from "../deployments/service.ts";
import { createBudgetService } from "../budgets/budget-service.ts";
import { readUsageReport, writeCsv } from "../budgets/usage-report.ts";
import type { BlobStore } from "../blobs/store.ts";
import type { Database } from "../db/database.ts";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import type { Engine } from "../engine/engine.ts";
import { createUserRepository } from "../orgs/users.ts";
import { createMemoryServices } from "../files/memory/memory-services.ts";
import { createFileHistoryService } from "../files/filesystem/history.ts";
import { createFilesystem } from "../files/filesystem/service.ts";
import { createStoredFiles } from "../files/postgres/stored-files.ts";
import { authenticate, createApiKey } from "../orgs/api-keys.ts";
import { createEnvironmentKeys } from "../orgs/environment-keys.ts";
import { createWorkService, type WorkDependencies } from "../work/service.ts";
import { type ClosableNoticeBoard, createNoticeBoard } from "../sessions/notice-board.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import { publicEvent, recordEvent } from "../sessions/event.ts";
import { appendUnderLock } from "../sessions/log.ts";
import type { EndDependencies } from "../sessions/end-session.ts";
import { createSkillService } from "../files/postgres/skills/skill-service.ts";
import { createUploadedFiles } from "../uploads/uploaded-files.ts";
import { createSnapshotRepository } from "../sandboxes/snapshots/listed-snapshots.ts";
import { createSessionResources } from "../sessions/resources/service.ts";
import { createSessionService } from "../sessions/service.ts";
import { createThreadService } from "../sessions/threads.ts";
import { createPreviewProxy, type PreviewProxy } from "../previews/proxy.ts";
import { createPreviews } from "../previews/previews.ts";
import { createPersonCommands } from "../sandboxes/person-commands.ts";
import type { SandboxRoom } from "../sandboxes/room.ts";
import { listSandboxes } from "../sandboxes/summary.ts";
import { createSessionSandboxes } from "../sandboxes/session-sandboxes.ts";
import { type HttpApp, createApp } from "./app.ts";
import { createRequestOnce } from "./idempotency.ts";
import { type Listener, listen } from "./listen.ts";
import type { Principal, SessionService } from "../sessions/port.ts";

const silent = () => undefined;
export const silentLog = { debug: silent, info: silent, warn: silent, error: silent };

export interface TestServer {
  readonly http: HttpApp;
  readonly listener: Listener;
  readonly test: TestDatabase;
  readonly notices: ClosableNoticeBoard;
  readonly sessions: SessionService;
  /** A key of an organization of its own, and who it stands for. */
  newOrganization(scopes?: readonly ("admin" | "sessions")[]): Promise<{ apiKey: string; principal: Principal }>;
  /** A person of an organization, with a key of theirs. */
  newUser(organizationId: string, name: string): Promise<{ apiKey: string; principal: Principal; userId: string }>;
  /** Sessions that were woken, in order. */
  readonly woken: string[];
  stop(): Promise<void>;
}

interface TestServerOptions {
  readonly pingMilliseconds?: number;
  readonly previews?: PreviewProxy;
  /** With sandboxes; without, nothing of the API about them is there. */
  readonly openRoom?: (parts: { readonly database: Database; readonly notices: NoticeBoard }) => Promise<SandboxRoom>;
  /** For uploaded files; without it there are none. */
  readonly blobs?: BlobStore;
  /** A database with an engine that drives its sessions; without it turns are only noted. */
  readonly driven?: {
    readonly test: TestDatabase;
    readonly engine: Engine;
    readonly notices: ClosableNoticeBoard;
    readonly releaseSandbox: EndDependencies["releaseSandbox"];
  };
}

export async function startTestServer({
  driven,
  openRoom,
  blobs,
  ...options
}: TestServerOptions = {}): Promise<TestServer> {
  const test = driven?.test ?? (await createTestDatabase());
  const { database } = test;
  const notices = driven?.notices ?? (await createNoticeBoard({ connectionString: test.url, log: silentLog }));
  const woken: string[] = [];
  const engine = driven?.engine ?? notingEngine(woken);
  const room = await openRoom?.({ database, notices });
  const releaseSandbox = driven?.releaseSandbox ?? ((owner) => room?.workspaces.release(owner) ?? Promise.resolve());
  const ending = { database, engine, notices, releaseSandbox };
  const sessions = testSessions(ending, room);
  const http = createApp({
    sessions,
    threads: createThreadService(ending),
    users: createUserRepository(database),
    agents: createAgentRepository(database),
    environments: createEnvironmentRepository(database),
    deployments: createDeploymentService({ database, engine, notices, log: silentLog }),
    deploymentRuns: createDeploymentRuns(database),
    ...memoryServices(database, notices),
    budgets: {
      ...createBudgetService({ database, engine }),
      usage: ({ organizationId }, query) => readUsageReport(database, organizationId, query),
      writeCsv,
    },
    authenticate: (apiKey) => authenticate(database, apiKey),
    once: createRequestOnce(database),
    workers: workerServices({ database, engine, notices }),
    snapshots: createSnapshotRepository(database),
    ...fileServices(database),
    notices,
    health: { ready: async () => void (await database.selectFrom("organizations").select("id").limit(1).execute()) },
    log: silentLog,
    ...(room === undefined ? {} : sandboxServices(room, database, sessions)),
    ...(blobs === undefined ? {} : { files: createUploadedFiles({ database, blobs }) }),
    ...options,
  });
  const listener = await listen(http, "127.0.0.1", 0);
  return {
    http,
    listener,
    test,
    notices,
    sessions,
    woken,
    ...callersOf(database),
    async stop() {
      await listener.stop(1_000);
      await room?.stop();
      await notices.close();
      await test.drop();
    },
  };
}

function fileServices(database: Database) {
  const files = createStoredFiles(database);
  return {
    skills: createSkillService(database),
    filesystem: createFilesystem({ database, files }),
    fileHistory: createFileHistoryService({ database, files }),
  };
}

function workerServices(parts: WorkDependencies) {
  return { work: createWorkService(parts), keys: createEnvironmentKeys(parts.database), publicUrl: null };
}

/** Organizations and people with keys. */
function callersOf(database: Database): Pick<TestServer, "newOrganization" | "newUser"> {
  const principalOf = async (apiKey: string) => {
    const principal = await authenticate(database, apiKey);
    if (principal === null) throw new Error("the new key does not work");
    return principal;
  };
  return {
    async newOrganization(scopes = ["admin"]) {
      const id = `org_${randomUUID()}`;
      await database.insertInto("organizations").values({ id, name: "Test" }).execute();
      const { apiKey } = await createApiKey(database, { organizationId: id, name: "test", scopes });
      return { apiKey, principal: await principalOf(apiKey) };
    },
    async newUser(organizationId, name) {
      const users = createUserRepository(database);
      const { id: userId } = await users.create(organizationId, { external_id: name.toLowerCase(), name });
      const { api_key: apiKey } = await users.keys.create(organizationId, userId, {});
      return { apiKey, principal: await principalOf(apiKey), userId };
    },
  };
}

function memoryServices(database: Database, notices: NoticeBoard) {
  return { memory: createMemoryServices(database), sessionResources: createSessionResources({ database, notices }) };
}

function testSessions(ending: EndDependencies, room: SandboxRoom | undefined): SessionService {
  return createSessionService({
    ...ending,
    isPriced: (model) => !model.startsWith("compatible/"),
    captureWorkspace: (owner) => room?.workspaces.capture(owner) ?? Promise.resolve(),
    dropSandbox: (...rest) => room?.drop(...rest) ?? Promise.resolve(null),
  });
}

/** Nobody drives the sessions: turns are only noted. */
function notingEngine(woken: string[]): Engine {
  return {
    start: () => Promise.resolve(),
    wake: (sessionId) => Promise.resolve(void woken.push(sessionId)),
    wakeAt: (sessionId) => Promise.resolve(void woken.push(sessionId)),
    every: () => undefined,
    stop: () => Promise.resolve(),
  };
}

function sandboxServices(room: SandboxRoom, database: Database, sessions: SessionService) {
  const previews = createPreviews({ database, ports: room.ports, log: silentLog });
  return {
    commands: createPersonCommands({ sessions, commandsOf: room.commandsOf, newId: randomUUID }),
    sandboxes: { list: (principal: Principal) => listSandboxes(database, principal) },
    sessionSandboxes: createSessionSandboxes({ database, sessions, room, previews, publicUrl: null }),
    previews: createPreviewProxy(previews, silentLog),
  };
}

export const message = (text: string) => publicEvent("agent.message", { content: [{ type: "text", text }] });

/** Appends as a driver would, with or without the notice, and with or without a record that nobody outside sees. */
export async function appendMessage(
  server: TestServer,
  sessionId: string,
  text: string,
  options: { readonly notify?: boolean; readonly record?: boolean } = {},
): Promise<number> {
  const events = options.record === true ? [recordEvent("x.note", {}), message(text)] : [message(text)];
  const stored = await server.test.database
    .transaction()
    .execute((transaction) => appendUnderLock(transaction, sessionId, events));
  const seq = stored.at(-1)?.seq ?? 0;
  if (options.notify !== false) server.notices.publish({ type: "appended", sessionId, seq });
  return seq;
}
