/** An organization with two sessions, one of which has a sandbox with projected files: for tests of projections. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox } from "@exoloop/sandbox/contract";
import type { TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount, type StoredMount, storedMounts } from "../mounts.ts";
import { createStoredFiles, type StoredFiles } from "../postgres/stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "../postgres/testing.ts";
import { createProjection, type FileProjection } from "../projection.ts";
import type { DirectoryOperations, FileStore } from "../store.ts";
import { type CommandReport, createTestSandbox, runProjected, type TestHost } from "../testing.ts";
import { decodeText, encodeText } from "../text.ts";
import { createBaselineCache } from "./baseline.ts";
import type { ProjectionDependencies } from "./pass.ts";

/** The other session: it has tools and no sandbox. */
export interface OtherSession {
  readonly store: FileStore & DirectoryOperations;
  readonly sessionId: string;
}

export interface ProjectionTest {
  readonly files: StoredFiles;
  readonly organizationId: string;
  readonly sessionId: string;
  readonly sandbox: Sandbox;
  readonly other: OtherSession;
  /** Of the session with the sandbox, as a worker that has just started makes it, and from then on uses it. */
  newWorker(changed?: Partial<ProjectionDependencies>): FileProjection;
  projection: FileProjection;
  run(command: string, meanwhile?: () => Promise<unknown>): Promise<CommandReport>;
  /** By the other session. */
  save(path: string, text: string): Promise<unknown>;
  saveOver(path: string, text: string): Promise<unknown>;
  stored(path: string): Promise<string | null>;
}

/** @param mounts What the session sees, each time a worker looks. */
export async function openProjectionTest(
  test: TestDatabase,
  host: TestHost,
  mounts: readonly StoredMount[] = storedMounts,
): Promise<ProjectionTest> {
  const files = createStoredFiles(test.database);
  const organizationId = await createTestOrganization(test.database);
  const sessionId = await createTestSession(test.database, organizationId);
  const otherId = await createTestSession(test.database, organizationId);
  const other = {
    store: files.open({ organizationId, sessionId: otherId }, organizationMemoryMount),
    sessionId: otherId,
  };
  const sandbox = await createTestSandbox(host.provider);
  const create = (changed: Partial<ProjectionDependencies> = {}) =>
    createProjection({ files, baselines: createBaselineCache(), organizationId, sessionId, mounts, ...changed });
  const save = (path: string, text: string) =>
    other.store.write(path, encodeText(text), actorOf(organizationId, otherId));
  /** A worker may be another one after a command than before it. */
  const latest: FileProjection = {
    before: (workspace) => opened.projection.before(workspace),
    after: (workspace, toolUseId) => opened.projection.after(workspace, toolUseId),
    settle: (workspace) => opened.projection.settle(workspace),
  };
  const opened: ProjectionTest = {
    files,
    organizationId,
    sessionId,
    sandbox,
    other,
    projection: create(),
    newWorker(changed) {
      opened.projection = create(changed);
      return opened.projection;
    },
    run: (command, meanwhile) => runProjected(sandbox, latest, command, meanwhile),
    save,
    async saveOver(path, text) {
      await other.store.read(path);
      return save(path, text);
    },
    stored: async (path) => decodeText((await other.store.read(path)).bytes),
  };
  return opened;
}

/** As the other session's tool call. */
export function actorOfOther({ organizationId, other }: ProjectionTest) {
  return { ...actorOf(organizationId, other.sessionId), toolUseId: createId("event") };
}
