/** The bare own queue, as a contender. @module */
import { openNotifyChannel } from "@exoloop/server/db/notify-channel";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { startWorker } from "./child.ts";
import type { Contender, ContenderOptions } from "./contender.ts";
import { ownQueueChannel, prepareOwnQueue, wakeOwnQueue } from "./own-queue.ts";
import { admitMessage } from "./sessions.ts";

export async function createOwnQueue({ url, database }: ContenderOptions): Promise<Contender> {
  await prepareOwnQueue(database);
  const channel = await openNotifyChannel({
    connectionString: url,
    channel: ownQueueChannel,
    applicationName: "own queue",
    log: createLogger("error"),
    onPayload: () => undefined,
    onReconnected: () => undefined,
  });
  return {
    name: "own queue",
    startWorker: (turns) => startWorker(new URL("own-queue-worker.ts", import.meta.url), url, String(turns)),
    async send(sessionId, text) {
      await admitMessage(database, sessionId, text, (transaction) => wakeOwnQueue(transaction, sessionId));
      await channel.send([""]);
    },
    close: () => channel.close(),
  };
}
