/** The file system that one session sees: its sandbox, with skills and memory from Postgres in their places. @module */
import { historyDirectory } from "./path.ts";
import type { StoredMount } from "./mounts.ts";
import type { StoredFiles } from "./postgres/stored-files.ts";
import { createReservedStore, createRouter } from "./router.ts";
import { createSandboxStore, type UseWorkspace } from "./sandbox-store.ts";
import type { FileStore } from "./store.ts";

export interface SessionFilesOptions {
  readonly files: StoredFiles;
  readonly organizationId: string;
  readonly sessionId: string;
  /** What this session sees of Postgres, as of this tool call. */
  readonly mounts: readonly StoredMount[];
  /** Called for paths of the sandbox only. */
  readonly useWorkspace: UseWorkspace;
  /** What tools have answered before. */
  readonly history: FileStore;
}

export function createSessionFiles({ files, mounts, useWorkspace, history, ...owner }: SessionFilesOptions): FileStore {
  return createRouter([
    { prefix: "/", store: createSandboxStore(useWorkspace), access: "read_write" },
    { prefix: historyDirectory, store: history, access: "read_only" },
    {
      prefix: "/memory",
      store: createReservedStore("What is to be kept goes under /memory/org."),
      access: "read_write",
    },
    ...mounts.map((mount) => ({ prefix: mount.prefix, store: files.open(owner, mount), access: mount.access })),
  ]);
}
