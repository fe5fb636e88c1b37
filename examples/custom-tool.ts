/**
 * A tool that the client runs: the session waits for its result.
 * @module
 */
import { connect, model, script } from "./connection.ts";

const client = connect();
const agent = await client.beta.agents.create({
  name: "clerk",
  model,
  tools: [
    {
      type: "custom",
      name: "lookup_order",
      description: "The state of an order, by its number.",
      input_schema: { type: "object", properties: { number: { type: "integer" } }, required: ["number"] },
    },
  ],
});
const environment = await client.beta.environments.create({ name: `custom ${Date.now()}` });
const session = await client.beta.sessions.create({ agent: agent.id, environment_id: environment.id });
const stream = await client.beta.sessions.events.stream(session.id);
const steps = script([
  { toolCalls: [{ name: "lookup_order", input: { number: 7 } }] },
  { text: "Your order is on its way." },
]);
await client.beta.sessions.events.send(session.id, {
  events: [{ type: "user.message", content: [{ type: "text", text: `Where is order 7?\n${steps}` }] }],
});

for await (const event of stream) {
  if (event.type === "agent.custom_tool_use") {
    console.log("looking up", JSON.stringify(event.input));
    await client.beta.sessions.events.send(session.id, {
      events: [
        { type: "user.custom_tool_result", custom_tool_use_id: event.id, content: [{ type: "text", text: "shipped" }] },
      ],
    });
  }
  if (event.type === "agent.message")
    console.log("agent:", event.content.map((part) => ("text" in part ? part.text : "")).join(""));
  if (event.type === "session.status_idle" && event.stop_reason.type === "end_turn") break;
}
