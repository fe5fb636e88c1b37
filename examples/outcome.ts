/**
 * An outcome: the agent works until a second model call says that the rubric is met.
 * @module
 */
import { connect, model } from "./connection.ts";

const client = connect();
const agent = await client.beta.agents.create({ name: "poet", model });
const environment = await client.beta.environments.create({ name: `outcome ${Date.now()}` });
const session = await client.beta.sessions.create({ agent: agent.id, environment_id: environment.id });
const stream = await client.beta.sessions.events.stream(session.id);
// For the scripted model: what it says, and how it judges that. Any other model reads the description alone.
const script = {
  steps: [
    { text: "Rain falls." },
    { text: "Rain on the tin roof / a drum that nobody plays / the cat keeps the beat" },
  ],
  grades: [
    { result: "needs_revision", explanation: "One line, not three." },
    { result: "satisfied", explanation: "Three lines about rain." },
  ],
};
await client.beta.sessions.events.send(session.id, {
  events: [
    {
      type: "user.define_outcome",
      description: ["A haiku about rain.", "```script", JSON.stringify(script), "```"].join("\n"),
      rubric: { type: "text", content: "Three lines. About rain." },
    },
  ],
});

for await (const event of stream) {
  if (event.type === "agent.message")
    console.log("agent:", event.content.map((part) => ("text" in part ? part.text : "")).join(""));
  if (event.type === "span.outcome_evaluation_end") console.log(`${event.result}: ${event.explanation}`);
  if (event.type === "session.status_idle") break;
}
const [evaluation] = (await client.beta.sessions.retrieve(session.id)).outcome_evaluations ?? [];
console.log("outcome:", evaluation?.result, "after revision", evaluation?.iteration);
