/** Threads over the official SDK: real Postgres, real turns, the scripted model. */
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { primaryThreadId } from "@exoloop/protocol/threads";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTurnTest, type TurnTest } from "../loop/testing.ts";
import { delegate, task } from "../loop/testing-threads.ts";
import { startTestServer, type TestServer } from "./testing.ts";

let turns: TurnTest;
let server: TestServer;
let sdk: Anthropic;
let stranger: Anthropic;
const released: string[] = [];

beforeAll(async () => {
  turns = await startTurnTest();
  const { notices } = turns;
  const releaseSandbox = ({ sessionId }: { readonly sessionId: string }) =>
    Promise.resolve(void released.push(sessionId));
  const { engine } = turns.dependencies;
  server = await startTestServer({ driven: { test: turns.test, engine, notices, releaseSandbox } });
  const connect = async () =>
    new Anthropic({ baseURL: server.listener.url, apiKey: (await server.newOrganization()).apiKey, maxRetries: 0 });
  [sdk, stranger] = [await connect(), await connect()];
}, 60_000);
afterAll(async () => {
  await server.listener.stop(1_000);
  await turns.stop();
});

const toolset = { type: "agent_toolset_20260401" as const };
const askFirst = { ...toolset, default_config: { permission_policy: { type: "always_ask" as const } } };

async function newSession(steps: readonly object[], helper: { tools?: object[] } = {}): Promise<string> {
  const tools = (helper.tools ?? [toolset]) as [typeof toolset];
  const other = await sdk.beta.agents.create({ name: "helper", model: "scripted", tools });
  const agent = await sdk.beta.agents.create({
    name: "lead",
    model: "scripted",
    tools: [toolset],
    multiagent: { type: "coordinator", agents: [other.id] },
  });
  const environment = await sdk.beta.environments.create({ name: crypto.randomUUID() });
  const message = { type: "user.message" as const, content: [{ type: "text" as const, text: task(steps) }] };
  const session = await sdk.beta.sessions.create({
    agent: agent.id,
    environment_id: environment.id,
    initial_events: [message],
  });
  return session.id;
}

/** The events of the session once it has come to rest for this reason. */
async function eventually(sessionId: string, stop: string) {
  const read = async () => (await sdk.beta.sessions.events.list(sessionId, { limit: 1000 })).data;
  const reasons = async () =>
    (await read()).flatMap((event) => (event.type === "session.status_idle" ? [event.stop_reason.type] : []));
  await expect.poll(reasons, { timeout: 10_000 }).toContain(stop);
  return read();
}

const codeOf = (request: PromiseLike<unknown>) =>
  Promise.resolve(request).then(
    () => "none",
    (error: unknown) => (error instanceof APIError ? `${error.status} ${error.errorCode}` : String(error)),
  );

test("a session's threads are listed, read and followed; the session itself is the primary one", async () => {
  const work = [{ toolCalls: [{ name: "read", input: {} }] }, { text: "Read." }];
  const sessionId = await newSession([
    { toolCalls: [delegate(work), delegate([{ text: "Easy." }])] },
    { text: "Done." },
  ]);
  await eventually(sessionId, "end_turn");
  const threads = [];
  for await (const thread of sdk.beta.sessions.threads.list(sessionId, { limit: 1 })) threads.push(thread);
  const [primary, first, second] = threads;
  expect(threads).toHaveLength(3);
  expect(primary).toMatchObject({ id: primaryThreadId(sessionId), parent_thread_id: null, agent: { name: "lead" } });
  expect(primary?.agent).not.toHaveProperty("multiagent");
  expect([first, second].map((thread) => [thread?.parent_thread_id, thread?.status, thread?.agent])).toEqual(
    Array(2).fill([primary?.id, "idle", expect.objectContaining({ name: "helper" })]),
  );
  expect(first?.usage?.input_tokens).toBeGreaterThan(0);
  const threadId = first?.id ?? "";
  expect(await sdk.beta.sessions.threads.retrieve(threadId, { session_id: sessionId })).toMatchObject({
    ...first,
    stats: { active_seconds: first?.stats?.active_seconds },
  });
  const running = await sdk.beta.sessions.threads.list(sessionId, { statuses: ["running"] });
  expect(running.data).toEqual([]);
  const events = [];
  for await (const event of sdk.beta.sessions.threads.events.list(threadId, { session_id: sessionId, limit: 2 })) {
    events.push(event);
  }
  expect(events.map((event) => event.type)).toEqual([
    "user.message",
    "session.thread_status_running",
    "span.model_request_start",
    ...(events.some((event) => event.type === "agent.tool_use")
      ? ["span.model_request_end", "agent.tool_use", "agent.tool_result", "span.model_request_start"]
      : []),
    "agent.message",
    "span.model_request_end",
    "session.thread_status_idle",
  ]);
  expect(events[1]).toMatchObject({ session_thread_id: threadId, agent_name: "helper" });
  // From the beginning, as a client that has seen nothing asks; the first frames are those of the history.
  const response = await fetch(`${server.listener.url}/v1/sessions/${sessionId}/threads/${threadId}/stream`, {
    headers: { authorization: `Bearer ${sdk.apiKey}`, "last-event-id": "1" },
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("session.thread_status_idle")) text += (await reader?.read())?.value ?? "";
  await reader?.cancel();
  expect(text.match(/^event: (?!open).*$/gm)?.length).toBeGreaterThanOrEqual(events.length - 1);
});

test("nobody finds a thread as a session, in another session, or as a stranger", async () => {
  const sessionId = await newSession([{ toolCalls: [delegate([{ text: "Easy." }])] }, { text: "Done." }]);
  await eventually(sessionId, "end_turn");
  const otherId = await newSession([{ text: "Done." }]);
  const threadId = (await sdk.beta.sessions.threads.list(sessionId)).data[1]?.id ?? "";
  expect(threadId).toMatch(/^sthr_/);
  expect((await sdk.beta.sessions.list()).data.map((session) => session.id)).not.toContain(threadId);
  const { sessions } = sdk.beta;
  const message = { type: "user.message" as const, content: [{ type: "text" as const, text: "x" }] };
  for (const request of [
    () => sessions.retrieve(threadId),
    () => sessions.update(threadId, { title: "x" }),
    () => sessions.archive(threadId),
    () => sessions.delete(threadId),
    () => sessions.events.list(threadId),
    () => sessions.events.stream(threadId),
    () => sessions.events.send(threadId, { events: [message] }),
    () => sessions.threads.list(threadId),
    () => sessions.threads.retrieve(threadId, { session_id: otherId }),
    () => sessions.threads.events.list(threadId, { session_id: otherId }),
    () => sessions.threads.events.stream(threadId, { session_id: otherId }),
    () => sessions.threads.archive(threadId, { session_id: otherId }),
    () => sessions.threads.retrieve(sessionId, { session_id: sessionId }),
    () => stranger.beta.sessions.threads.list(sessionId),
    () => stranger.beta.sessions.threads.retrieve(threadId, { session_id: sessionId }),
    () => stranger.beta.sessions.threads.archive(threadId, { session_id: sessionId }),
  ]) {
    expect(await codeOf(request())).toBe("404 not_found");
  }
  expect((await sessions.threads.retrieve(threadId, { session_id: sessionId })).archived_at).toBeNull();
});

test("a thread's call is answered through the session, and the answer carries the thread", async () => {
  const work = [{ toolCalls: [{ name: "write", input: {} }] }, { text: "Written." }];
  const sessionId = await newSession([{ toolCalls: [delegate(work)] }, { text: "Done." }], { tools: [askFirst] });
  const waiting = await eventually(sessionId, "requires_action");
  const call = waiting.find((event) => event.type === "agent.tool_use" && event.evaluated_permission === "ask");
  const tool_use_id = call?.id ?? "";
  const answer = { type: "user.tool_confirmation" as const, tool_use_id, result: "allow" as const };
  const sent = await sdk.beta.sessions.events.send(sessionId, { events: [answer] });
  const threadId = (await sdk.beta.sessions.threads.list(sessionId)).data[1]?.id;
  expect(sent.data?.[0]).toMatchObject({ ...answer, session_thread_id: threadId });
  expect(sent.data?.[0]?.processed_at).not.toBeNull();
  expect(await sdk.beta.sessions.events.send(sessionId, { events: [answer] })).toMatchObject({ data: sent.data });
  await eventually(sessionId, "end_turn");
});

test("an archived thread's work ends, its call gets an error, and the session goes on", async () => {
  turns.ran.length = 0;
  released.length = 0;
  const held = [{ toolCalls: [{ name: "bash", input: { waitForAbort: true } }] }, { text: "never" }];
  const sessionId = await newSession([{ toolCalls: [delegate(held)] }, { text: "Then without." }]);
  await expect.poll(() => turns.ran, { timeout: 10_000 }).toEqual(["bash"]);
  const threadId = (await sdk.beta.sessions.threads.list(sessionId)).data[1]?.id ?? "";
  const archived = await sdk.beta.sessions.threads.archive(threadId, { session_id: sessionId });
  expect([archived.status, archived.archived_at === null]).toEqual(["terminated", false]);
  await expect.poll(() => turns.ran).toEqual(["bash", "bash aborted"]);
  const events = await eventually(sessionId, "end_turn");
  expect(events.filter((event) => event.type === "agent.tool_result")).toMatchObject([{ is_error: true }]);
  expect(events.map((event) => event.type)).toContain("session.thread_status_terminated");
  expect(released).toEqual([threadId]);
  expect(await sdk.beta.sessions.threads.archive(threadId, { session_id: sessionId })).toEqual(archived);
  const [last] = (
    await sdk.beta.sessions.threads.events.list(threadId, { session_id: sessionId, limit: 1000 })
  ).data.slice(-1);
  expect(last).toMatchObject({ type: "session.thread_status_terminated", session_thread_id: threadId });
  const again = task([{ toolCalls: [delegate([{ text: "x" }], { thread_id: threadId })] }, { text: "I see." }]);
  const message = { type: "user.message" as const, content: [{ type: "text" as const, text: again }] };
  await sdk.beta.sessions.events.send(sessionId, { events: [message] });
  const texts = async () => JSON.stringify((await sdk.beta.sessions.events.list(sessionId, { limit: 1000 })).data);
  await expect.poll(texts).toContain("this thread has ended for good");
  const interrupt = { type: "user.interrupt" as const, session_thread_id: threadId };
  expect(await codeOf(sdk.beta.sessions.events.send(sessionId, { events: [interrupt] }))).toBe("400 session_archived");
  const primary = primaryThreadId(sessionId);
  expect(await codeOf(sdk.beta.sessions.threads.archive(primary, { session_id: sessionId }))).toBe(
    "400 invalid_request",
  );
});

test.each(["archive", "delete"] as const)("to %s a session ends its threads", async (method) => {
  turns.ran.length = 0;
  released.length = 0;
  const held = [{ toolCalls: [{ name: "bash", input: { waitForAbort: true } }] }, { text: "never" }];
  const sessionId = await newSession([
    { toolCalls: [delegate(held), delegate([{ text: "Easy." }])] },
    { text: "Done." },
  ]);
  await expect.poll(() => turns.ran, { timeout: 10_000 }).toEqual(["bash"]);
  const ids = (await sdk.beta.sessions.threads.list(sessionId)).data.slice(1).map((thread) => thread.id);
  await sdk.beta.sessions[method](sessionId);
  await expect.poll(() => turns.ran).toEqual(["bash", "bash aborted"]);
  expect(released.toSorted()).toEqual([sessionId, ...ids].toSorted());
  const rows = await turns.test.database
    .selectFrom("sessions")
    .select(["status", "archived_at"])
    .where((where) => where.or([where("id", "=", sessionId), where("parent_session_id", "=", sessionId)]))
    .execute();
  expect(rows.map((row) => [row.status, row.archived_at !== null])).toEqual(
    method === "delete" ? [] : Array(3).fill(["terminated", true]),
  );
});

test("where the agent's own model does not answer, its fallback does", async () => {
  const x_exoloop = { fallback_models: ["scripted"] };
  const agent = await sdk.beta.agents.create({ name: "a", model: "scripted/none", x_exoloop } as {
    name: string;
    model: string;
  });
  const environment = await sdk.beta.environments.create({ name: crypto.randomUUID() });
  const message = {
    type: "user.message" as const,
    content: [{ type: "text" as const, text: task([{ text: "Here." }]) }],
  };
  const reference = { agent: agent.id, environment_id: environment.id };
  const session = await sdk.beta.sessions.create({ ...reference, initial_events: [message] });
  const events = await eventually(session.id, "end_turn");
  expect(events.flatMap((event) => (event.type === "agent.message" ? event.content : []))).toMatchObject([
    { text: "Here." },
  ]);
});
