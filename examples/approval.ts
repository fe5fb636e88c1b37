/**
 * A tool that asks first: the session waits, holding nothing, until a person answers.
 * @module
 */
import { connect, model, script } from "./connection.ts";

const client = connect();
const agent = await client.beta.agents.create({
  name: "careful",
  model,
  tools: [
    {
      type: "agent_toolset_20260401",
      configs: [{ name: "bash", enabled: true, permission_policy: { type: "always_ask" } }],
    },
  ],
});
const environment = await client.beta.environments.create({ name: `approval ${Date.now()}` });
const session = await client.beta.sessions.create({ agent: agent.id, environment_id: environment.id });
const stream = await client.beta.sessions.events.stream(session.id);
const steps = script([
  { toolCalls: [{ name: "bash", input: { command: "echo approved > note.txt && cat note.txt" } }] },
  { text: "The note is written." },
]);
await client.beta.sessions.events.send(session.id, {
  events: [{ type: "user.message", content: [{ type: "text", text: `Write a note.\n${steps}` }] }],
});

for await (const event of stream) {
  if (event.type === "agent.tool_result") console.log("result:", JSON.stringify(event.content));
  if (event.type !== "session.status_idle") continue;
  if (event.stop_reason.type !== "requires_action") break;
  for (const id of event.stop_reason.event_ids) {
    console.log("approving", id.slice(0, 5) + "…");
    await client.beta.sessions.events.send(session.id, {
      events: [{ type: "user.tool_confirmation", tool_use_id: id, result: "allow" }],
    });
  }
}
console.log("done");
