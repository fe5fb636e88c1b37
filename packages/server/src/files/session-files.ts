/** The file system that one session sees: its sandbox, with skills and memory from Postgres in their places. @module */
import { historyDirectory } from "./path.ts";
import { defaultMemoryOf, type StoredMount } from "./mounts.ts";
import type { StoredFiles } from "./postgres/stored-files.ts";
import { type ReadTrace, watchReads } from "./read-trace.ts";
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
  /** Notes readings of what nobody vouches for; nothing is noted without it. */
  readonly trace?: ReadTrace;
}

export function createSessionFiles({
  files,
  mounts,
  useWorkspace,
  history,
  trace,
  ...owner
}: SessionFilesOptions): RoutedFiles {
  const open = (mount: StoredMount) => {
    const store = { ...files.open(owner, mount), ...createStoredBatch(files, mount) };
    if (trace === undefined) return store;
    return watchReads(store, (paths) => files.anyUntrusted(owner.organizationId, mount, paths), trace);
  };
  const memory = defaultMemoryOf(mounts)?.prefix ?? "/memory";
  const reserved = createReservedStore(`What is to be kept goes under ${memory}.`);
  return createRouter(
    [
      { prefix: "/", store: createSandboxStore(useWorkspace), access: "read_write" },
      { prefix: historyDirectory, store: history, access: "read_only" },
      { prefix: "/memory", store: reserved, access: "read_write" },
      ...mounts.map((mount) => ({ prefix: mount.prefix, store: open(mount), access: mount.access })),
    ],
    (path) => followAliases(memory, path),
  );
}
