/**
 * A worker of the bench: the whole server, put together by its own composition root, with one tool more and with points
 * where it ends itself. A process of its own, forked by the pool.
 * @module
 */
import { readConfig } from "@exoloop/server/config";
import { startServer } from "@exoloop/server/main";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { builtInTools } from "@exoloop/server/tools/built-in";
import { countingRule } from "./broken.ts";
import { createCountingTool } from "./counting-tool.ts";
import { createKillPoints } from "./kill-points.ts";
import { type BenchMessage, directoryVariable, type WorkerMessage } from "./worker-messages.ts";

const directory = process.env[directoryVariable] ?? "";
const countingTool = createCountingTool(directory, countingRule);
const send = (message: WorkerMessage): void => void process.send?.(message);
const points = createKillPoints(directory, [...builtInTools, countingTool], () => send({ type: "claimed" }));

async function start(databaseUrl: string, sandboxSocket: string | null): Promise<void> {
  const config = readConfig(process.env);
  const overrides = { ...points.overrides, tools: [countingTool] };
  try {
    const server = await startServer(config, { databaseUrl, sandboxSocket }, createLogger(config.logLevel), overrides);
    send({ type: "ready", url: server.url, firstAdminKey: server.firstAdminKey });
  } catch (error) {
    send({ type: "failed", message: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  }
}

process.on("message", (message: BenchMessage) => {
  if (message.type === "start") void start(message.databaseUrl, message.sandboxSocket);
  else points.arm(message.point);
});
// The bench is gone, and nobody else would end this process.
process.on("disconnect", () => process.exit(0));
