/** A whole Exoloop for end-to-end tests: its own home, a free port, a real sandbox, the scripted model. @module */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import { stopEmbeddedPostgres } from "../db/embedded/supervisor.ts";
import { type RunningExoloop, startExoloop } from "../launch.ts";
import { createLogger } from "../telemetry/logger.ts";

export interface TestServer {
  readonly exoloop: RunningExoloop;
  readonly apiKey: string;
  readonly sdk: Anthropic;
  stop(): Promise<void>;
}

/** Variables of the person who runs the tests must not choose a model or a database here. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const dropped = /^(EXOLOOP_|ANTHROPIC_|OPENAI_|DATABASE_URL$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !dropped.test(name)));
}

/** @param configuration variables for the server, such as a model's key and address. */
export async function startTestServer(configuration: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const home = await mkdtemp(join(tmpdir(), "exoloop-e2e-"));
  const log = createLogger("silent");
  const environment = { ...cleanEnvironment(), EXOLOOP_LOG_LEVEL: "error", ...configuration };
  const exoloop = await startExoloop({ environment, home, port: 0, sandbox: "auto", fleeting: true, log });
  const apiKey = exoloop.firstAdminKey;
  if (apiKey === null) throw new Error("a new home has no first key");
  return {
    exoloop,
    apiKey,
    sdk: new Anthropic({ baseURL: exoloop.url, apiKey, maxRetries: 0 }),
    async stop() {
      await exoloop.stop();
      await stopEmbeddedPostgres({ directory: join(home, "postgres") });
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** A message that tells the scripted model what to do. */
export function scriptedMessage(steps: readonly object[]) {
  const text = ["Do this:", "```script", JSON.stringify(steps), "```"].join("\n");
  return { type: "user.message" as const, content: [{ type: "text" as const, text }] };
}

/** An agent with every tool, an environment, a session. */
export async function createTestSession(sdk: Anthropic, model = "scripted"): Promise<string> {
  const agent = await sdk.beta.agents.create({
    name: "tester",
    model,
    tools: [{ type: "agent_toolset_20260401" }],
  });
  const environment = await sdk.beta.environments.create({ name: `e2e ${crypto.randomUUID()}` });
  const session = await sdk.beta.sessions.create({ agent: agent.id, environment_id: environment.id });
  return session.id;
}
