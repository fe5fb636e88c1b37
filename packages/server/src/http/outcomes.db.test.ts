/** Outcomes over the official SDK: real Postgres, real turns, the scripted model. */
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTurnTest, type TurnTest } from "../loop/testing.ts";
import { startTestServer, type TestServer } from "./testing.ts";

let turns: TurnTest;
let server: TestServer;
let sdk: Anthropic;

beforeAll(async () => {
  turns = await startTurnTest();
  const { notices } = turns;
  const { engine } = turns.dependencies;
  const releaseSandbox = () => Promise.resolve();
  server = await startTestServer({ driven: { test: turns.test, engine, notices, releaseSandbox } });
  const { apiKey } = await server.newOrganization();
  sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
}, 60_000);
afterAll(async () => {
  await server.listener.stop(1_000);
  await turns.stop();
});

const grades = [
  { result: "needs_revision", explanation: "It has no date." },
  { result: "satisfied", explanation: "It has a date." },
];
const plan = JSON.stringify({ steps: [{ text: "A draft." }, { text: "With a date." }], grades });
const define = {
  type: "user.define_outcome" as const,
  description: ["```script", plan, "```"].join("\n"),
  rubric: { type: "text" as const, content: "- It has a date." },
};

async function references() {
  const agent = await sdk.beta.agents.create({ name: "writer", model: "scripted" });
  const environment = await sdk.beta.environments.create({ name: crypto.randomUUID() });
  return { agent: agent.id, environment_id: environment.id };
}

async function reached(sessionId: string) {
  const evaluations = async () => (await sdk.beta.sessions.retrieve(sessionId)).outcome_evaluations;
  await expect.poll(async () => (await evaluations()).map(({ result }) => result)).toEqual(["satisfied"]);
  return evaluations();
}

test("an outcome is defined, judged, revised and shown", async () => {
  const session = await sdk.beta.sessions.create(await references());
  expect(session.outcome_evaluations).toEqual([]);
  const sent = await sdk.beta.sessions.events.send(session.id, { events: [define] });
  const [defined] = sent.data ?? [];
  expect(defined).toMatchObject({
    ...define,
    max_iterations: 3,
    outcome_id: expect.stringMatching(/^outc_/),
    processed_at: expect.any(String),
  });
  expect(await reached(session.id)).toEqual([
    {
      type: "outcome_evaluation",
      outcome_id: (defined as { outcome_id?: string }).outcome_id,
      description: define.description,
      result: "satisfied",
      iteration: 1,
      explanation: "It has a date.",
      completed_at: expect.any(String),
    },
  ]);
  const { data: events } = await sdk.beta.sessions.events.list(session.id, { limit: 1000 });
  const starts = events.filter((event) => event.type === "span.outcome_evaluation_start");
  const ends = events.filter((event) => event.type === "span.outcome_evaluation_end");
  expect(ends.map((event) => event.outcome_evaluation_start_id)).toEqual(starts.map((event) => event.id));
  expect(ends.map((event) => event.result)).toEqual(["needs_revision", "satisfied"]);
});

test("a session and a deployment may begin with one", async () => {
  const created = await sdk.beta.sessions.create({ ...(await references()), initial_events: [define] });
  await reached(created.id);
  const deployment = await sdk.beta.deployments.create({
    ...(await references()),
    name: "notes",
    initial_events: [{ ...define, max_iterations: 5 }],
  });
  expect(deployment.initial_events).toMatchObject([{ ...define, max_iterations: 5 }]);
  const run = await sdk.beta.deployments.run(deployment.id);
  await reached(run.session_id ?? "");
});

test.each([
  [{ rubric: { type: "file" as const, file_id: "file_1" } }, /rubric/],
  [{ max_iterations: 21 }, /max_iterations/],
  [{ max_iterations: 0 }, /max_iterations/],
  [{ description: "" }, /description/],
])("%o is one clear error, and nothing is stored", async (wrong, message) => {
  const session = await sdk.beta.sessions.create(await references());
  await expect(sdk.beta.sessions.events.send(session.id, { events: [{ ...define, ...wrong }] })).rejects.toThrow(
    message,
  );
  expect((await sdk.beta.sessions.events.list(session.id)).data).toEqual([]);
});
