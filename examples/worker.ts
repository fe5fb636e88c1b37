/**
 * Tools that run on a machine of yours: the official SDK's worker takes the work of a self-hosted environment.
 * @module
 */
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import { connect, model, script } from "./connection.ts";

const client = connect();
const environment = await client.beta.environments.create({
  name: `worker ${Date.now()}`,
  config: { type: "self_hosted" },
});
// `exoloop environments keys create` does the same. It opens the work of this environment and nothing else.
const { key } = await client.post<{ key: string }>(`/v1/x/environments/${environment.id}/keys`, {
  body: { name: "example" },
});

// The worker, which would be a program of its own, in a container or on somebody's machine.
const workdir = await mkdtemp(join(tmpdir(), "exoloop-worker-"));
const stopping = new AbortController();
const workerClient = new Anthropic({ baseURL: client.baseURL, apiKey: null });
const worker = workerClient.beta.environments.work
  .worker({ environmentId: environment.id, environmentKey: key, workdir, maxIdleMs: 1_000 })
  .run(stopping.signal)
  .catch(() => undefined);

const agent = await client.beta.agents.create({
  name: "at a worker",
  model,
  tools: [{ type: "agent_toolset_20260401" }],
});
const session = await client.beta.sessions.create({ agent: agent.id, environment_id: environment.id });
const stream = await client.beta.sessions.events.stream(session.id);
const steps = script([
  { toolCalls: [{ name: "write", input: { file_path: "note.txt", content: "Written by a worker.\n" } }] },
  { toolCalls: [{ name: "bash", input: { command: "wc -w < note.txt" } }] },
  { text: "The note has four words." },
]);
await client.beta.sessions.events.send(session.id, {
  events: [{ type: "user.message", content: [{ type: "text", text: `Write a note and count its words.\n${steps}` }] }],
});

for await (const event of stream) {
  if (event.type === "agent.tool_use") console.log("the worker runs", event.name);
  if (event.type === "user.tool_result") console.log("it answers:", JSON.stringify(event.content?.[0]));
  if (event.type === "agent.message")
    console.log("agent:", event.content.map((part) => ("text" in part ? part.text : "")).join(""));
  if (event.type === "session.status_idle" && event.stop_reason.type === "end_turn") break;
}
console.log("on this machine:", (await readFile(join(workdir, "note.txt"), "utf8")).trim());
stopping.abort();
await worker;
