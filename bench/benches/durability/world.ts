/** What the launcher starts: the embedded Postgres under its keeper, and the sandbox host. @module */
import { chmodSync, chownSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import { keepEmbeddedPostgres } from "@exoloop/server/db/embedded/keeper";
import { stopEmbeddedPostgres } from "@exoloop/server/db/embedded/supervisor";
import { serverUserId } from "@exoloop/server/launch";
import { createLogger } from "@exoloop/server/telemetry/logger";

export interface World {
  readonly home: string;
  /** Where the workers leave their files. */
  readonly shared: string;
  /** Of workers; null: the bench's own. */
  readonly userId: number | null;
  readonly sandboxSocket: string;
  readonly sandboxesDirectory: string;
  databaseUrl(): string;
  /** With SIGKILL. Answers its process id. */
  killPostmaster(): number;
  stop(): Promise<void>;
}

/** @param onMoved Postgres was started again and has another address. */
export async function startWorld(directory: string, onMoved: () => void): Promise<World> {
  const userId = process.getuid?.() === 0 ? serverUserId : null;
  const home = join(directory, "home");
  const shared = join(directory, "shared");
  for (const path of [home, join(home, "blobs"), shared]) mkdirSync(path, { mode: 0o711 });
  chmodSync(home, 0o711);
  if (userId !== null) for (const path of [join(home, "blobs"), shared]) chownSync(path, userId, userId);
  const postgresDirectory = join(home, "postgres");
  let url = "";
  const postgres = await keepEmbeddedPostgres({
    directory: postgresDirectory,
    // That a killed postmaster is started again is no news here.
    log: createLogger("silent"),
    onMoved(moved) {
      url = moved;
      onMoved();
    },
  });
  ({ url } = postgres);
  const stopPostgres = async () => {
    await postgres.stop();
    await stopEmbeddedPostgres({ directory: postgresDirectory });
  };
  try {
    const owner = userId === null ? {} : { ownerUid: userId };
    const host = await startSandboxHost({
      directory: join(home, "sandbox-host"),
      mode: "auto",
      endsWithParent: true,
      ...owner,
    });
    return {
      home,
      shared,
      userId,
      sandboxSocket: host.socketPath,
      sandboxesDirectory: host.sandboxesDirectory,
      databaseUrl: () => url,
      killPostmaster: () => killPostmaster(postgresDirectory),
      async stop() {
        await host.stop();
        await stopPostgres();
      },
    };
  } catch (error) {
    await stopPostgres();
    throw error;
  }
}

function killPostmaster(directory: string): number {
  const connection = JSON.parse(readFileSync(join(directory, "connection.json"), "utf8")) as {
    readonly server: { readonly pid: number };
  };
  process.kill(connection.server.pid, "SIGKILL");
  return connection.server.pid;
}
