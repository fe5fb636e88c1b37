/** Sub-agents on the command line, against a whole server with the scripted model. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@exoloop/client/client";
import { scriptedMessage, startTestServer, type TestServer } from "@exoloop/server/e2e/running";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const script = (steps: readonly object[]) => scriptedMessage(steps).content[0]?.text ?? "";
const run = promisify(execFile);
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(() => server.stop());

const exoloop = (arguments_: readonly string[]) => {
  const env = { ...process.env, EXOLOOP_URL: server.exoloop.url, EXOLOOP_API_KEY: server.apiKey };
  return run(process.execPath, [main, ...arguments_], { env });
};

test("run shows what sub-agents do under their names, and sessions threads lists them", async () => {
  const client = createClient({ baseUrl: server.exoloop.url, apiKey: server.apiKey });
  const tools = [{ type: "agent_toolset_20260401" as const }];
  const helper = await client.agents.create({ name: "helper", model: "scripted", tools });
  const multiagent = { type: "coordinator" as const, agents: [helper.id] };
  await client.agents.create({ name: "lead", model: "scripted", tools, multiagent });
  const task = script([{ toolCalls: [{ name: "glob", input: { pattern: "/memory/**" } }] }, { text: "Looked." }]);
  const work = { name: "delegate", input: { agent: "helper", task } };
  const ran = await exoloop(["run", "--agent", "lead", script([{ toolCalls: [work] }, { text: "All done." }])]);
  expect(ran).toMatchObject({ stdout: expect.stringContaining("▸ gives work to helper") });
  expect(ran.stdout).toContain("▸ [helper] glob");
  expect(ran.stdout).toContain("● [helper] Looked.");
  const sessionId = /sesn_\w+/.exec(ran.stderr)?.[0] ?? "";
  const listed = await exoloop(["sessions", "threads", sessionId]);
  expect(listed.stdout).toMatch(/^sthr_\w+ +idle +lead \(the session itself\) .*\nsthr_\w+ +idle +helper /m);
});
