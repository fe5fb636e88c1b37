/**
 * A deployment: what a session is told, on weekdays at nine by the clock of a time zone; and once now, by hand.
 * @module
 */
import { connect, model, script } from "./connection.ts";

const client = connect();
const agent = await client.beta.agents.create({ name: "early bird", model });
const environment = await client.beta.environments.create({ name: `schedule ${Date.now()}` });
const deployment = await client.beta.deployments.create({
  name: "morning",
  agent: agent.id,
  environment_id: environment.id,
  initial_events: [
    {
      type: "user.message",
      content: [{ type: "text", text: `Say good morning.\n${script([{ text: "Good morning." }])}` }],
    },
  ],
  schedule: { type: "cron", expression: "0 9 * * 1-5", timezone: "Europe/Berlin" },
});

const [next = ""] = deployment.schedule?.upcoming_runs_at ?? [];
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "short", timeZone: "Europe/Berlin" });
console.log(`runs at ${clock.format(new Date(next))} in Europe/Berlin`);

const run = await client.beta.deployments.run(deployment.id);
if (run.session_id === null) throw new Error(run.error?.message ?? "no session");
while ((await client.beta.sessions.events.list(run.session_id, { types: ["session.status_idle"] })).data.length === 0)
  await new Promise((resolve) => setTimeout(resolve, 100));
for await (const event of client.beta.sessions.events.list(run.session_id)) {
  if (event.type !== "agent.message") continue;
  const text = event.content.map((part) => ("text" in part ? part.text : "")).join("");
  console.log(`run ${run.id.slice(0, 5)}…: agent: ${text}`);
}

// Without this it would go on, every weekday.
await client.beta.deployments.archive(deployment.id);
console.log("archived");
