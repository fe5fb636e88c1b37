/** Bare DBOS, as a contender. @module */
import { DBOSClient } from "@dbos-inc/dbos-sdk";
import { sql } from "kysely";
import { startWorker } from "./child.ts";
import type { Contender, ContenderOptions } from "./contender.ts";
import { dbosApplication, dbosQueue, dbosVersion, dbosWorkflow } from "./dbos-names.ts";
import { admitMessage } from "./sessions.ts";

export async function createDbos({ url, database }: ContenderOptions): Promise<Contender> {
  await sql`create table if not exists dbos_workers (executor text primary key, beat_at timestamptz not null)`.execute(
    database,
  );
  let client: DBOSClient | undefined;
  return {
    name: "DBOS",
    startWorker: (turns) => startWorker(new URL("dbos-worker.ts", import.meta.url), url, String(turns)),
    async send(sessionId, text) {
      // After the first worker has made its tables.
      client ??= await DBOSClient.create({ systemDatabaseUrl: url, applicationName: dbosApplication });
      await admitMessage(database, sessionId, text, () => Promise.resolve());
      const options = { queueName: dbosQueue, workflowName: dbosWorkflow, appVersion: dbosVersion };
      await client.enqueue<(sessionId: string) => Promise<void>>(options, sessionId);
    },
    close: async () => client?.destroy(),
  };
}
