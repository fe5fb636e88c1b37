/** Ours: the loop on the engine port, on pg-boss. @module */
import { createPgBossEngine } from "@exoloop/server/engine/pg-boss-engine";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { startWorker } from "./child.ts";
import type { Contender, ContenderOptions } from "./contender.ts";
import { admitMessage } from "./sessions.ts";

export async function createExoloop({ url, database }: ContenderOptions): Promise<Contender> {
  const log = createLogger("error");
  const engine = createPgBossEngine({ connectionString: url, database, concurrency: 0, log });
  await engine.start(() => Promise.resolve());
  return {
    name: "exoloop",
    startWorker: (turns) => startWorker(new URL("worker.ts", import.meta.url), url, String(turns)),
    send: (sessionId, text) =>
      admitMessage(database, sessionId, text, (transaction) => engine.wake(sessionId, transaction)),
    close: () => engine.stop(0),
  };
}
