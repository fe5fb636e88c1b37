/** A worker on the bare own queue. Arguments: the database's address, turns at a time. @module */
import { openDatabase } from "@exoloop/server/db/database";
import { claimSession } from "@exoloop/server/sessions/log";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { serveParent } from "./child.ts";
import { workerConnections, workerTimeoutMs } from "./contender.ts";
import { startOwnQueue } from "./own-queue.ts";
import { beginPeerTurn } from "./peer-turn.ts";

const [url = "", turns = "1"] = process.argv.slice(2);
const log = createLogger("error");
const database = await openDatabase(url, { maximumConnections: workerConnections, applicationName: "bench worker" });
const queue = await startOwnQueue({
  url,
  database,
  turns: Number(turns),
  workerTimeoutMs,
  log,
  async onTurn(sessionId) {
    const claim = await claimSession(database, sessionId);
    if (claim === null) return;
    const turn = await beginPeerTurn(database, claim);
    for (let round = 0; round < turn.rounds; round += 1) await turn.tool(await turn.model());
    await turn.finish();
  },
});
serveParent(async () => {
  await queue.stop();
  await database.destroy();
});
