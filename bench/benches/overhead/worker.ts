/**
 * A worker of ours as a process of its own: engine, notices and loop, with a model and a tool that cost nothing.
 * Arguments: the database's address, turns at a time.
 * @module
 */
import { openDatabase } from "@exoloop/server/db/database";
import { createPgBossEngine } from "@exoloop/server/engine/pg-boss-engine";
import { driveTurn } from "@exoloop/server/loop/driver";
import { createNoticeBoard } from "@exoloop/server/sessions/notice-board";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { serveParent } from "./child.ts";
import { workerConnections } from "./contender.ts";
import { instantParts } from "./instant.ts";

const [url = "", turns = "1"] = process.argv.slice(2);
const log = createLogger("error");
const database = await openDatabase(url, { maximumConnections: workerConnections, applicationName: "bench worker" });
const notices = await createNoticeBoard({ connectionString: url, log });
const engine = createPgBossEngine({ connectionString: url, database, concurrency: Number(turns), log });
await engine.start(({ sessionId }) => driveTurn({ database, engine, notices, log, ...instantParts }, sessionId));
serveParent(async () => {
  await engine.stop(1000);
  await notices.close();
  await database.destroy();
});
