/**
 * Memory that sessions share: what one writes with a tool another sees as a file, who loses a race is told, and all that
 * a session did can be taken back.
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { connect, model, script } from "./connection.ts";

const client = connect();
const agent = await client.beta.agents.create({ name: "notes", model, tools: [{ type: "agent_toolset_20260401" }] });
const environment = await client.beta.environments.create({ name: `memory ${Date.now()}` });
const file = `/memory/org/example-${Date.now()}/team.md`;

const startSession = async () =>
  (await client.beta.sessions.create({ agent: agent.id, environment_id: environment.id })).id;

/** Gives a session one call, and shows what comes of it. `onCall` runs when the call has been made. */
async function ask(who: string, sessionId: string, task: string, call: object, onCall = () => Promise.resolve()) {
  const stream = await client.beta.sessions.events.stream(sessionId);
  const text = `${task}\n${script([{ toolCalls: [call] }, { text: "Done." }])}`;
  await client.beta.sessions.events.send(sessionId, {
    events: [{ type: "user.message", content: [{ type: "text", text }] }],
  });
  let meanwhile = Promise.resolve();
  for await (const event of stream) {
    if (event.type === "agent.tool_use") meanwhile = onCall();
    if (event.type === "agent.tool_result")
      console.log(`${who}:`, event.content?.map((part) => ("text" in part ? part.text : "")).join(""));
    if (event.type === "session.status_idle") break;
  }
  await meanwhile;
}

const bash = (command: string) => ({ name: "bash", input: { command } });
const [ann, bob] = [await startSession(), await startSession()];

await ask("ann", ann, "Note who decides about releases.", {
  name: "write",
  input: { file_path: file, content: "Releases: Carla decides.\nHolidays: none.\n" },
});
await ask("bob", bob, "Who decides about releases?", bash(`cat ${file}`));

// Bob's command takes its time, and Ann is faster: his text is not saved over hers, and he is told.
await ask(
  "bob",
  bob,
  "It is Dan now. Take your time.",
  bash(`sed -i 's/Carla decides/Dan decides/' ${file}; sleep 4`),
  async () => {
    await pause(1_000);
    await ask("ann", ann, "It is Eva now.", {
      name: "edit",
      input: { file_path: file, old_string: "Carla decides", new_string: "Eva decides" },
    });
  },
);
await ask("bob", bob, "What does it say?", bash(`cat ${file} /workspace/.conflicts/*/org/*/team.md`));

// `exoloop files undo SESSION` does the same.
const undone = await client.post<{ files: { outcome: string; path: string }[] }>("/v1/x/filesystem/undo", {
  body: { session_id: ann },
});
for (const { outcome, path } of undone.files) console.log(`undone: ${outcome} ${path}`);
await ask("bob", bob, "Is it still there?", bash(`ls ${file} || echo gone`));
