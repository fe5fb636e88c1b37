/**
 * Agents that work for another one: in parallel, each with a conversation and a sandbox of its own. Their sandboxes begin
 * with a copy of the session's workspace; what they find comes back as their answer.
 * @module
 */
import { connect, model, script } from "./connection.ts";

const client = connect();
const tools = [{ type: "agent_toolset_20260401" as const }];
const counter = await client.beta.agents.create({ name: "counter", model, tools, description: "Counts lines." });
const lead = await client.beta.agents.create({
  name: "lead",
  model,
  tools,
  multiagent: { type: "coordinator", agents: [counter.id] },
});
const environment = await client.beta.environments.create({ name: `sub-agents ${Date.now()}` });
const session = await client.beta.sessions.create({ agent: lead.id, environment_id: environment.id });
const stream = await client.beta.sessions.events.stream(session.id);

// What a real model decides by itself, the scripted one is told: first the files, then one piece of work for each.
const count = (file: string) => ({
  name: "delegate",
  input: {
    agent: "counter",
    task: `How many lines has ${file}?\n${script([
      { toolCalls: [{ name: "bash", input: { command: `wc -l < ${file}` } }] },
      { text: `I have counted ${file}.` },
    ])}`,
  },
});
const steps = script([
  { toolCalls: [{ name: "bash", input: { command: "seq 3 > three.txt; seq 7 > seven.txt" } }] },
  { toolCalls: [count("three.txt"), count("seven.txt")] },
  { text: "Both are counted." },
]);
await client.beta.sessions.events.send(session.id, {
  events: [{ type: "user.message", content: [{ type: "text", text: `Count the lines of both files.\n${steps}` }] }],
});

for await (const event of stream) {
  if (event.type === "session.thread_created") console.log("started", event.agent_name);
  if (event.type === "agent.message")
    for (const block of event.content) if (block.type === "text") console.log(block.text);
  if (event.type === "session.status_idle") break;
}
for await (const thread of client.beta.sessions.threads.list(session.id)) {
  if (thread.parent_thread_id === null) continue;
  for await (const event of client.beta.sessions.threads.events.list(thread.id, { session_id: session.id })) {
    if (event.type === "agent.tool_result") console.log("counted:", JSON.stringify(event.content));
  }
}
console.log("done");
