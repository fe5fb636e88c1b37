/** The server as a process of its own: told by its launcher where everything is, it answers when it serves. @module */
import { readConfig } from "./config.ts";
import { StartupError } from "./errors.ts";
import { type RunningServer, startServer } from "./main.ts";
import { createLogger } from "./telemetry/logger.ts";

export interface ServerStart {
  readonly type: "start";
  readonly databaseUrl: string;
  readonly sandboxSocket: string | null;
}

export interface ServerReady {
  readonly type: "ready";
  readonly value: { readonly url: string; readonly firstAdminKey: string | null; readonly model: string };
}

/** What the launcher sends. */
export type LauncherMessage =
  | ServerStart
  | { readonly type: "import-skill"; readonly name: string; readonly files: Readonly<Record<string, string>> };

/** What the server answers: exactly one message for each of the launcher's. */
export type ServerMessage =
  | ServerReady
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly message: string };

const config = readConfig(process.env);
const log = createLogger(config.logLevel);
let server: RunningServer | null = null;

async function answer(message: LauncherMessage): Promise<ServerMessage> {
  if (message.type === "start") {
    server = await startServer(config, message, log);
    return { type: "ready", value: { url: server.url, firstAdminKey: server.firstAdminKey, model: server.model } };
  }
  if (server === null) return { type: "failed", message: "the server has not started" };
  await server.importSkill(message.name, message.files);
  return { type: "done" };
}

async function handle(message: LauncherMessage): Promise<void> {
  const result = await answer(message).catch((error: unknown): ServerMessage => {
    const known = error instanceof StartupError || message.type !== "start";
    if (!known) log.error({ error }, "start failed");
    return { type: "failed", message: error instanceof Error ? error.message : "start failed" };
  });
  process.send?.(result);
  // Nothing keeps a server that could not start.
  if (result.type === "failed" && server === null) process.disconnect();
}
process.on("message", (message: LauncherMessage) => void handle(message));

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  await server?.stop();
  process.exit(0);
}
process.on("SIGTERM", () => void stop());
process.on("SIGINT", () => void stop());
// The launcher is gone: nobody else would end this process.
process.on("disconnect", () => void stop());
