/**
 * A session that waits for a webhook: nothing runs until somebody posts to it, signed as Standard Webhooks describes it.
 * @module
 */
import { createHmac, randomUUID } from "node:crypto";
import { connect, model, script } from "./connection.ts";

const client = connect();
// What this server adds lives under /v1/x: the SDK's own methods for any path serve it.
const name = `ci-${Date.now()}`;
const webhook = await client.post<{ id: string; path: string; secret: string }>("/v1/x/webhooks", { body: { name } });

const agent = await client.beta.agents.create({
  name: "patient",
  model,
  tools: [{ type: "agent_toolset_20260401" }],
});
const environment = await client.beta.environments.create({ name: `webhook ${Date.now()}` });
const session = await client.beta.sessions.create({ agent: agent.id, environment_id: environment.id });
const stream = await client.beta.sessions.events.stream(session.id);
const steps = script([
  { toolCalls: [{ name: "wait_for", input: { webhook: name } }] },
  { text: "The build is green." },
]);
await client.beta.sessions.events.send(session.id, {
  events: [{ type: "user.message", content: [{ type: "text", text: `Wait for the webhook ${name}.\n${steps}` }] }],
});

for await (const event of stream) {
  if (event.type === "session.status_rescheduled") {
    console.log("the session waits");
    await deliver(JSON.stringify({ build: 7, status: "green" }));
  }
  if (event.type === "agent.tool_result") console.log("gets:", JSON.stringify(event.content));
  if (event.type === "agent.message")
    console.log("agent:", event.content.map((part) => ("text" in part ? part.text : "")).join(""));
  if (event.type === "session.status_idle") break;
}
await client.delete(`/v1/x/webhooks/${webhook.id}`);

/** As a sender would, which has the secret and no API key. */
async function deliver(body: string): Promise<void> {
  const id = `msg_${randomUUID()}`;
  const timestamp = Math.floor(Date.now() / 1000);
  const key = Buffer.from(webhook.secret.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const headers = { "webhook-id": id, "webhook-timestamp": `${timestamp}`, "webhook-signature": `v1,${signature}` };
  const response = await fetch(`${client.baseURL}${webhook.path}`, { method: "POST", body, headers });
  console.log("delivered:", response.status);
}
