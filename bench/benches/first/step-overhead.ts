/** What one step costs when model and tool cost nothing: everything measured is ours. @module */
import { rm } from "node:fs/promises";
import { openDatabase } from "@exoloop/server/db/database";
import { startEmbeddedPostgres, stopEmbeddedPostgres } from "@exoloop/server/db/embedded/supervisor";
import { migrate } from "@exoloop/server/db/migrate";
import { createPgBossEngine } from "@exoloop/server/engine/pg-boss-engine";
import { driveTurn } from "@exoloop/server/loop/driver";
import { publicEvent } from "@exoloop/server/sessions/event";
import { appendUnderLock, readLog } from "@exoloop/server/sessions/log";
import { createNoticeBoard } from "@exoloop/server/sessions/notice-board";
import { insertTestSession } from "@exoloop/server/sessions/testing-database";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { instantParts } from "../overhead/instant.ts";

/**
 * Milliseconds for each pair of a model call and a tool call, halved: one step. Intents, results, policy and audit rows
 * included; one session at a time on an embedded Postgres of its own.
 */
export async function measureStepOverhead(directory: string, rounds: number): Promise<number[]> {
  const log = createLogger("error");
  const { url } = await startEmbeddedPostgres({ directory, log });
  await migrate(url);
  const database = await openDatabase(url, { maximumConnections: 10, applicationName: "exoloop bench" });
  const notices = await createNoticeBoard({ connectionString: url, log });
  const engine = createPgBossEngine({ connectionString: url, database, concurrency: 4, log });
  const dependencies = { ...instantParts, database, engine, notices, log };
  try {
    await engine.start(({ sessionId }) => driveTurn(dependencies, sessionId));
    const { sessionId } = await insertTestSession(database);
    await database.transaction().execute(async (transaction) => {
      await transaction.selectFrom("sessions").select("id").where("id", "=", sessionId).forUpdate().execute();
      const message = publicEvent("user.message", { content: [{ type: "text", text: String(rounds) }] });
      await appendUnderLock(transaction, sessionId, [message]);
      await engine.wake(sessionId, transaction);
    });
    return stepsOf(await finishedLog(() => readLog(database, sessionId, 0)));
  } finally {
    await engine.stop(1_000);
    await notices.close();
    await database.destroy();
    await stopEmbeddedPostgres({ directory });
    await rm(directory, { recursive: true, force: true });
  }
}

type Log = Awaited<ReturnType<typeof readLog>>;

async function finishedLog(read: () => Promise<Log>): Promise<Log> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const log = await read();
    if (log.at(-1)?.type === "session.status_idle") return log;
  }
  throw new Error("the session did not finish within a minute");
}

/** From the start of one model call to the start of the next lie two steps. */
function stepsOf(log: Log): number[] {
  const starts = log
    .filter((event) => event.type === "span.model_request_start")
    .map((event) => event.createdAt.getTime());
  return starts.slice(1).map((time, index) => (time - (starts[index] ?? time)) / 2);
}
