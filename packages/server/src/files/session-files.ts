/** The file system that one session sees: its sandbox, with skills and memory from Postgres in their places. @module */
import { historyDirectory } from "./path.ts";
import { defaultMemoryOf, type StoredMount } from "./mounts.ts";
import type { StoredFiles } from "./postgres/stored-files.ts";
import { createReservedStore, createRouter, type MountedStore, type RoutedFiles } from "./router.ts";
import { followAliases } from "./routing/aliases.ts";
import { createStoredBatch } from "./routing/stored-batch.ts";
import { createSandboxStore, type UseWorkspace } from "./sandbox-store.ts";

export interface SessionFilesOptions {
  readonly files: StoredFiles;
  readonly organizationId: string;
  readonly sessionId: string;
  /** What this session sees of Postgres, as of this tool call. */
  readonly mounts: readonly StoredMount[];
  /** Called for paths of the sandbox only. */
  readonly useWorkspace: UseWorkspace;
  /** What tools have answered before. */
  readonly history: MountedStore;
}

export function createSessionFiles({
  files,
  mounts,
  useWorkspace,
  history,
  ...owner
}: SessionFilesOptions): RoutedFiles {
  const memory = defaultMemoryOf(mounts)?.prefix ?? "/memory";
  const stored = mounts.map((mount) => ({
    prefix: mount.prefix,
    store: { ...files.open(owner, mount), ...createStoredBatch(files, mount) },
    access: mount.access,
  }));
  const reserved = createReservedStore(`What is to be kept goes under ${memory}.`);
  return createRouter(
    [
      { prefix: "/", store: createSandboxStore(useWorkspace), access: "read_write" },
      { prefix: historyDirectory, store: history, access: "read_only" },
      { prefix: "/memory", store: reserved, access: "read_write" },
      ...stored,
    ],
    (path) => followAliases(memory, path),
  );
}
