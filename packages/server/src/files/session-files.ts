/** The file system of a session: its router, and the projection of stored files into its sandbox. @module */
import type { Projection } from "../sandboxes/command-runner.ts";
import type { SandboxOwner } from "../sandboxes/workspace.ts";
import type { Workspaces } from "../sandboxes/workspaces.ts";
import { storedMounts, storedRoots } from "./mounts.ts";
import type { StoredFiles } from "./postgres/stored-files.ts";
import { createBaselineCache } from "./projection/baseline.ts";
import { createProjection } from "./projection.ts";
import { createReservedStore, createRouter, type Mount } from "./router.ts";
import { createSandboxStore } from "./sandbox-store.ts";
import type { FileStore } from "./store.ts";
import { encodeText } from "./text.ts";

export interface SessionFiles {
  routerOf(owner: SandboxOwner): FileStore;
  projectionOf(owner: SandboxOwner): Projection;
  /** Text files by their path below the skill's directory. */
  importSkill(organizationId: string, name: string, files: Readonly<Record<string, string>>): Promise<void>;
}

export function createSessionFiles({
  files,
  workspaces,
}: {
  readonly files: StoredFiles;
  readonly workspaces: Workspaces;
}): SessionFiles {
  const baselines = createBaselineCache();
  return {
    routerOf: (owner) => createRouter(mountsOf(files, workspaces, owner)),
    projectionOf: (owner) => createProjection({ files, baselines, ...owner, mounts: storedMounts }),
    async importSkill(organizationId, name, contents) {
      const skill = Object.entries(contents).map(([path, text]) => ({ path, bytes: encodeText(text) }));
      await files.importSkill(organizationId, name, skill);
    },
  };
}

function mountsOf(files: StoredFiles, workspaces: Workspaces, owner: SandboxOwner): readonly Mount[] {
  const reserved = storedRoots.filter((root) => storedMounts.every((mount) => mount.prefix !== root));
  return [
    { prefix: "/", store: sandboxFiles(workspaces, owner), access: "read_write" },
    ...reserved.map((prefix) => ({
      prefix,
      store: createReservedStore("Notes for everyone in the organization belong below /memory/org."),
      access: "read_write" as const,
    })),
    ...storedMounts.map((mount) => ({
      prefix: mount.prefix,
      store: files.open(owner, mount),
      access: mount.access,
    })),
  ];
}

/** Only what may have changed the workspace is followed by a snapshot. */
function sandboxFiles(workspaces: Workspaces, owner: SandboxOwner): FileStore {
  const using = (mayChange: boolean) =>
    createSandboxStore((use) =>
      workspaces.use(owner, { mayChange }, ({ sandbox, generation }) =>
        use({ sandboxId: sandbox.reference.id, generation, session: sandbox.session }),
      ),
    );
  const [reading, changing] = [using(false), using(true)];
  return { ...reading, write: changing.write, edit: changing.edit, remove: changing.remove };
}
