/**
 * The official SDK as a client: an agent with a sandbox runs a command and answers.
 * @module
 */
import { connect, model, script } from "./connection.ts";

const client = connect();
const agent = await client.beta.agents.create({
  name: "first",
  model,
  system: "Answer in one sentence.",
  tools: [{ type: "agent_toolset_20260401" }],
});
const environment = await client.beta.environments.create({ name: `first ${Date.now()}` });
const session = await client.beta.sessions.create({ agent: agent.id, environment_id: environment.id });

// The stream is opened before the message is sent: nothing can be missed in between.
const stream = await client.beta.sessions.events.stream(session.id);
const task = "Which kernel does your sandbox run? Use `uname -r`.";
const steps = script([
  { text: "I ask the sandbox.", toolCalls: [{ name: "bash", input: { command: "uname -r" } }] },
  { text: "That is its kernel." },
]);
await client.beta.sessions.events.send(session.id, {
  events: [{ type: "user.message", content: [{ type: "text", text: `${task}\n${steps}` }] }],
});

for await (const event of stream) {
  if (event.type === "agent.message")
    console.log("agent:", event.content.map((part) => ("text" in part ? part.text : "")).join(""));
  if (event.type === "agent.tool_use") console.log("runs:", JSON.stringify(event.input));
  if (event.type === "agent.tool_result") console.log("gets:", JSON.stringify(event.content));
  if (event.type === "session.status_idle") break;
}
