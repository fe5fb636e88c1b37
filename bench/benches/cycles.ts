/** Files through a thousand suspensions and two hundred lost sandboxes. @module */
import { join } from "node:path";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type SandboxHost, startSandboxHost } from "@exoloop/sandbox-host/start";
import { createDirectoryBlobStore } from "@exoloop/server/blobs/directory-store";
import { openDatabase } from "@exoloop/server/db/database";
import { startEmbeddedPostgres, stopEmbeddedPostgres } from "@exoloop/server/db/embedded/supervisor";
import { migrate } from "@exoloop/server/db/migrate";
import { openSandboxRoom } from "@exoloop/server/sandboxes/room";
import { createNoticeBoard } from "@exoloop/server/sessions/notice-board";
import { insertTestSession } from "@exoloop/server/sessions/testing-database";
import { createLogger } from "@exoloop/server/telemetry/logger";
import type { Bench, BenchContext, Row } from "../bench.ts";
import { toRow } from "../statistics.ts";
import { measureReplacements, type ReplacementFigures } from "./cycles/replacements.ts";
import { measureSuspensions } from "./cycles/suspensions.ts";
import { resources, withSandbox } from "./sandbox/sandboxes.ts";

/** With what a server has: Postgres, a blob store on the disk, snapshots after each command. */
async function replace(host: SandboxHost, { directory, progress, option }: BenchContext): Promise<ReplacementFigures> {
  const log = createLogger("error");
  const postgres = join(directory, "postgres");
  const { url } = await startEmbeddedPostgres({ directory: postgres, log });
  await migrate(url);
  const database = await openDatabase(url, { maximumConnections: 10, applicationName: "exoloop bench" });
  const notices = await createNoticeBoard({ connectionString: url, log });
  const provider = await createLocalProvider({ socketPath: host.socketPath });
  const room = await openSandboxRoom({
    database,
    notices,
    log,
    blobs: createDirectoryBlobStore(join(directory, "blobs")),
    providers: new Map([[provider.id, provider]]),
    defaultProvider: provider.id,
    resources,
    projectionOf: () => ({ before: () => Promise.resolve(), after: () => Promise.resolve(null) }),
  });
  try {
    const owner = await insertTestSession(database);
    const sandboxId = async (): Promise<string | null> => {
      const rows = database.selectFrom("sandboxes").select("sandbox_id").where("session_id", "=", owner.sessionId);
      return (await rows.executeTakeFirst())?.sandbox_id ?? null;
    };
    const { sandboxesDirectory } = host;
    return await measureReplacements({ room, owner, sandboxesDirectory, sandboxId, progress }, option("kills"));
  } finally {
    await room.stop();
    await notices.close();
    await database.destroy();
    await stopEmbeddedPostgres({ directory: postgres });
  }
}

async function run(context: BenchContext): Promise<Row[]> {
  const { directory, progress, option } = context;
  const host = await startSandboxHost({ directory: join(directory, "host"), mode: "auto", endsWithParent: true });
  try {
    const provider = await createLocalProvider({ socketPath: host.socketPath });
    progress(`${option("cycles")} times write, suspend, resume, verify`);
    const slept = await withSandbox(provider, (sandbox) => measureSuspensions(sandbox, option("cycles"), progress));
    await provider.close();
    progress(`${option("kills")} times kill, replace, verify`);
    const killed = await replace(host, context);
    return [
      toRow([slept.cycles], { id: "suspensions", unit: "", goal: null }),
      toRow([slept.lost], { id: "suspension_files_lost", unit: "files", goal: 0 }),
      toRow([slept.moved], { id: "moved_while_suspended", unit: "times", goal: 0 }),
      toRow([killed.kills], { id: "replacements", unit: "", goal: null }),
      toRow([killed.lost], { id: "replacement_files_lost", unit: "files", goal: 0 }),
      toRow([killed.inWindow], { id: "commands_in_loss_window", unit: "", goal: null }),
      toRow([killed.untold], { id: "replacements_untold", unit: "", goal: 0 }),
      toRow(killed.recoveries, { id: "replacement", unit: "ms", goal: null }),
    ];
  } finally {
    await host.stop();
  }
}

export const bench: Bench = {
  name: "cycles",
  description: "files through suspensions and through lost sandboxes: none may be lost",
  options: [
    { name: "cycles", description: "how many suspensions", default: 1_000 },
    { name: "kills", description: "how many sandboxes are killed; their directories are deleted too", default: 200 },
  ],
  run,
};
