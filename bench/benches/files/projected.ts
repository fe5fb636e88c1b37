/** A session whose sandbox holds stored files: as the server runs a command, with what it asks before and after it. @module */
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import type { Database } from "@exoloop/server/db/database";
import { organizationMemoryMount } from "@exoloop/server/files/mounts";
import { createStoredFiles, type StoredFiles } from "@exoloop/server/files/postgres/stored-files";
import { actorOf, createTestOrganization, createTestSession } from "@exoloop/server/files/postgres/testing";
import { createProjection, type FileProjection } from "@exoloop/server/files/projection";
import { createBaselineCache } from "@exoloop/server/files/projection/baseline";
import { readSessionView } from "@exoloop/server/files/session-mounts";
import { createTestSandbox } from "@exoloop/server/files/testing";

export interface ProjectedOrganization {
  readonly database: Database;
  readonly files: StoredFiles;
  readonly organizationId: string;
}

export interface ProjectedSession {
  readonly sessionId: string;
  readonly sandbox: Sandbox;
  readonly projection: FileProjection;
}

export async function createProjectedOrganization(database: Database): Promise<ProjectedOrganization> {
  return { database, files: createStoredFiles(database), organizationId: await createTestOrganization(database) };
}

/** What the session sees is asked anew each time, as the server does. */
export async function createProjectedSession(
  { database, files, organizationId }: ProjectedOrganization,
  provider: SandboxProvider,
): Promise<ProjectedSession> {
  const sessionId = await createTestSession(database, organizationId);
  const owner = { organizationId, sessionId };
  const baselines = createBaselineCache();
  const now = async () => createProjection({ files, baselines, ...owner, ...(await readSessionView(database, owner)) });
  const projection: FileProjection = {
    before: async (workspace) => (await now()).before(workspace),
    after: async (workspace, toolUseId) => (await now()).after(workspace, toolUseId),
    settle: async (workspace) => (await now()).settle(workspace),
  };
  return { sessionId, sandbox: await createTestSandbox(provider), projection };
}

/** Skills of 20 files each in 3 directories, and as many files in the organization's memory, 20 to a directory. */
export async function storeFiles({ files, organizationId }: ProjectedOrganization, count: number): Promise<void> {
  const half = Math.floor(count / 2);
  const skillFiles = 20;
  const text = (name: string, lines: number) => Buffer.from(`${name}: a line of some length\n`.repeat(lines));
  for (let skill = 0; skill < half / skillFiles; skill += 1) {
    const name = `skill-${skill}`;
    const described = Buffer.from(`---\nname: ${name}\ndescription: Skill ${skill} of the bench.\n---\nDo it.\n`);
    const others = Array.from({ length: skillFiles - 1 }, (_, index) => {
      const path = `part-${index % 3}/file-${index}.md`;
      return { path, bytes: text(path, 100) };
    });
    await files.importSkill(organizationId, name, [{ path: "SKILL.md", bytes: described }, ...others]);
  }
  await changeFiles(
    { files, organizationId },
    Array.from({ length: half }, (_, index) => [`d${Math.floor(index / 20)}/file-${index}.md`, text(`${index}`, 100)]),
  );
}

/** In one commit, by nobody's session. */
export async function changeFiles(
  { files, organizationId }: Pick<ProjectedOrganization, "files" | "organizationId">,
  contents: readonly (readonly [name: string, bytes: Uint8Array])[],
): Promise<void> {
  const changes = contents.map(([name, bytes]) => {
    const path = `${organizationMemoryMount.prefix}/${name}`;
    return { type: "put" as const, path, bytes, executable: false, operation: "write" as const };
  });
  const actor = actorOf(organizationId, null, "api");
  await files.commit({ mount: organizationMemoryMount, actor, paths: [] }, () => ({ changes, result: null }));
}
