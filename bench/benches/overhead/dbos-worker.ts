/**
 * A worker on bare DBOS: one workflow for each turn, a checkpoint after each step. The open source library does not
 * notice dead workers; the rows and looks that do are here, with the timings of the other contenders.
 * Arguments: the database's address, turns at a time.
 * @module
 */
import { randomUUID } from "node:crypto";
import { DBOS } from "@dbos-inc/dbos-sdk";
import { openDatabase } from "@exoloop/server/db/database";
import { claimSession } from "@exoloop/server/sessions/log";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { sql } from "kysely";
import { serveParent } from "./child.ts";
import { workerConnections, workerTimeoutMs } from "./contender.ts";
import { dbosApplication, dbosQueue, dbosVersion, dbosWorkflow } from "./dbos-names.ts";
import { beginPeerTurn } from "./peer-turn.ts";

const [url = "", turns = "1"] = process.argv.slice(2);
const log = createLogger("error");
const database = await openDatabase(url, { maximumConnections: workerConnections, applicationName: "bench worker" });
const executorID = randomUUID();

DBOS.registerWorkflow(
  async (sessionId: string) => {
    const claim = await claimSession(database, sessionId);
    if (claim === null) return;
    const turn = await beginPeerTurn(database, claim);
    for (let round = 0; round < turn.rounds; round += 1) {
      const toolUseId = await DBOS.runStep(() => turn.model(), { name: "model" });
      await DBOS.runStep(() => turn.tool(toolUseId), { name: "tool" });
    }
    await DBOS.runStep(() => turn.finish(), { name: "finish" });
  },
  { name: dbosWorkflow },
);
DBOS.setConfig({
  name: dbosApplication,
  systemDatabaseUrl: url,
  systemDatabasePoolSize: workerConnections,
  applicationVersion: dbosVersion,
  executorID,
  logLevel: "error",
});

async function beat(): Promise<void> {
  await sql`
    insert into dbos_workers (executor, beat_at) values (${executorID}, now())
    on conflict (executor) do update set beat_at = now()`.execute(database);
}
/** Whoever deletes a silent worker's row gives its turns to the queue. */
async function look(): Promise<void> {
  const { rows } = await sql<{ executor: string }>`
    delete from dbos_workers where executor in (
      select executor from dbos_workers
      where beat_at < now() - ${workerTimeoutMs}::float8 * interval '1 millisecond' for update skip locked
    ) returning executor`.execute(database);
  for (const { executor } of rows) {
    const lost = await DBOS.listWorkflows({ status: "PENDING", executorId: executor });
    await DBOS.resumeWorkflows(
      lost.map((workflow) => workflow.workflowID),
      { queueName: dbosQueue },
    );
  }
}
const swallow = (work: () => Promise<void>) => () =>
  void work().catch((error: unknown) => log.warn({ error }, "no look at the workers"));

await beat();
await DBOS.launch();
// 100 ms: DBOS does not send hints for its queues, and its default of a second would be the latency of every wake.
await DBOS.registerQueue(dbosQueue, {
  workerConcurrency: Number(turns),
  minPollingIntervalMs: 100,
  onConflict: "always_update",
});
const timers = [setInterval(swallow(beat), workerTimeoutMs / 4), setInterval(swallow(look), 1000)];
serveParent(async () => {
  for (const timer of timers) clearInterval(timer);
  await DBOS.shutdown();
  await database.destroy();
});
