/**
 * A worker that is to be killed: `node crash-worker.ts REQUEST` projects, runs one command and captures, and stands
 * still where the request says so, having said so. For tests.
 * @module
 */
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { openDatabase } from "../../db/database.ts";
import { storedMounts } from "../mounts.ts";
import { createStoredFiles, type StoredFiles } from "../postgres/stored-files.ts";
import { createProjection } from "../projection.ts";
import { workspaceOf } from "../testing.ts";
import { createBaselineCache } from "./baseline.ts";

/** `laid`: before the record; `ran`: before the capture; `committed`: after the commit; `captured`: before the result. */
export const crashPoints = ["laid", "ran", "committed", "captured"] as const;
export type CrashPoint = (typeof crashPoints)[number];

export interface CrashRequest {
  readonly databaseUrl: string;
  readonly socketPath: string;
  readonly sandboxId: string;
  readonly organizationId: string;
  readonly sessionId: string;
  /** Null: it has run, and is captured only. */
  readonly command: string | null;
  readonly toolUseId: string;
  readonly stopAt: CrashPoint;
}

async function work(request: CrashRequest): Promise<void> {
  const { organizationId, sessionId, toolUseId, stopAt } = request;
  const stop = async (point: CrashPoint): Promise<void> => {
    if (point !== stopAt) return;
    process.stdout.write("stopped\n");
    await new Promise((resolve) => setTimeout(resolve, 600_000));
  };
  const database = await openDatabase(request.databaseUrl, { maximumConnections: 4, applicationName: "crash worker" });
  const provider = await createLocalProvider({ socketPath: request.socketPath });
  const sandbox = await provider.attach({ provider: provider.id, id: request.sandboxId });
  const stored = createStoredFiles(database);
  const files: StoredFiles = {
    ...stored,
    async commit(commit, decide) {
      const committed = await stored.commit(commit, decide);
      await stop("committed");
      return committed;
    },
    projections: {
      ...stored.projections,
      async save(key, record) {
        await stop("laid");
        await stored.projections.save(key, record);
      },
    },
  };
  const owner = { organizationId, sessionId };
  const projection = createProjection({ files, baselines: createBaselineCache(), ...owner, mounts: storedMounts });
  const workspace = workspaceOf(sandbox);
  if (request.command !== null) {
    await projection.before(workspace);
    await sandbox.resume();
    await sandbox.session.run({ command: request.command, commandId: toolUseId, workingDirectory: "/workspace" });
    await sandbox.suspend();
  }
  await stop("ran");
  await projection.after(workspace, toolUseId);
  await stop("captured");
}

if (import.meta.main) await work(JSON.parse(process.argv[2] ?? "{}") as CrashRequest);
