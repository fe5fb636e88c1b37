import Anthropic from "@anthropic-ai/sdk";
import { createFrameDecoder, decodeFrames, type Frame } from "@exoloop/client/frame-decoder";
import { createId } from "@exoloop/protocol/ids";
import { preview } from "@exoloop/protocol/previews";
import { afterAll, beforeAll, expect, test } from "vitest";
import { appendUnderLock } from "../sessions/log.ts";
import type { NoticeBoard, PreviewFrame } from "../sessions/notices.ts";
import { createEventStreams, sessionSource, type StreamRequest } from "./event-stream.ts";
import type { Principal } from "../sessions/port.ts";
import { listen } from "./listen.ts";
import { appendMessage, message, silentLog, startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
let sdk: Anthropic;
let apiKey: string;
let principal: Principal;
let agent: string;
let environment: string;

beforeAll(async () => {
  server = await startTestServer();
  ({ apiKey, principal } = await server.newOrganization());
  sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  agent = (await sdk.beta.agents.create({ name: "a", model: "m" })).id;
  environment = (await sdk.beta.environments.create({ name: "e" })).id;
});
afterAll(() => server.stop());

const newSession = async () => (await sdk.beta.sessions.create({ agent, environment_id: environment })).id;
function openStream(sessionId: string, options: { after?: number; query?: string; signal?: AbortSignal } = {}) {
  return fetch(`${server.listener.url}/v1/sessions/${sessionId}/events/stream${options.query ?? ""}`, {
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(options.after === undefined ? {} : { "last-event-id": String(options.after) }),
    },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

/** Frames besides the opening and pings, until `enough`, or until the stream ends. */
async function readFrames(response: Response, enough: (frames: Frame[]) => boolean = () => false): Promise<Frame[]> {
  const frames: Frame[] = [];
  if (response.body === null) return frames;
  for await (const frame of decodeFrames(response.body)) {
    if (frame.data !== "" && frame.type !== "ping") frames.push(frame);
    if (enough(frames)) break;
  }
  return frames;
}

const idsOf = (frames: Frame[]) => frames.map((frame) => Number(frame.id));
const publicSeqs = async (sessionId: string) =>
  (await server.sessions.events(principal, sessionId, { order: "asc", limit: 1000 })).map((event) => event.seq);

test("headers come at once, with where the stream begins; what follows is live", async () => {
  const sessionId = await newSession();
  const head = await appendMessage(server, sessionId, "before");
  const response = await openStream(sessionId);
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(response.headers.get("request-id")).toMatch(/^req_/);
  const reader = response.body?.getReader();
  const first = createFrameDecoder().push((await reader?.read())?.value ?? new Uint8Array());
  expect(first).toEqual([{ type: "message", data: "", id: String(head) }]);
  const seq = await appendMessage(server, sessionId, "after");
  const text = new TextDecoder().decode((await reader?.read())?.value);
  await reader?.cancel();
  expect(text).toMatch(
    new RegExp(`^event: agent\\.message\nid: ${seq}\ndata: \\{.*"text":"after".*"processed_at":"20.*\\}\n\n$`),
  );
});

test("with Last-Event-ID, in the header or the query, the rest is replayed, and then it is live", async () => {
  const sessionId = await newSession();
  for (const text of ["1", "2", "3"]) await appendMessage(server, sessionId, text, { record: true });
  const all = await publicSeqs(sessionId);
  expect(idsOf(await readFrames(await openStream(sessionId, { after: 0 }), (frames) => frames.length === 3))).toEqual(
    all,
  );
  const rest = readFrames(
    await openStream(sessionId, { query: `?after_seq=${all[0]}` }),
    (frames) => frames.length === 3,
  );
  const last = await appendMessage(server, sessionId, "4");
  expect(idsOf(await rest)).toEqual([all[1], all[2], last]);
});

test("a client that breaks off again and again has every event exactly once, while others write", async () => {
  const sessionId = await newSession();
  const total = 150;
  const writing = (async () => {
    // Some notices are lost: the log is what counts.
    for (let index = 0; index < total; index += 1)
      await appendMessage(server, sessionId, `${index}`, { notify: index % 7 !== 0, record: index % 3 === 0 });
  })();
  const seen: number[] = [];
  for (let round = 0; seen.length < total; round += 1) {
    const share = 1 + (round % 13);
    const frames = await readFrames(
      await openStream(sessionId, { after: seen.at(-1) ?? 0 }),
      (read) => read.length >= Math.min(share, total - seen.length),
    );
    seen.push(...idsOf(frames));
  }
  await writing;
  expect(seen).toEqual(await publicSeqs(sessionId));
});

/** Frames of a stream of its own, whose pings come soon. */
async function openQuick(sessionId: string, isRevoked = async () => false) {
  const { notices, sessions } = server;
  const streams = createEventStreams({ notices, log: silentLog, pingMilliseconds: 50 });
  const source = sessionSource(sessions, principal, sessionId);
  const signal = new AbortController().signal;
  const hangUp = () => undefined;
  return new Response(await streams.open({ source, after: null, previews: new Set(), signal, hangUp, isRevoked }));
}

test("an event whose notice was lost comes with the next ping", async () => {
  const sessionId = await newSession();
  const response = await openQuick(sessionId);
  const seq = await appendMessage(server, sessionId, "quiet", { notify: false });
  expect(idsOf(await readFrames(response, (frames) => frames.length === 1))).toEqual([seq]);
});

test("a stream ends with the next ping once its key is revoked", async () => {
  let asked = 0;
  const sessionId = await newSession();
  // Not on the first ping: an end before the third is another one.
  const response = await openQuick(sessionId, async () => (asked += 1) === 3);
  expect(await readFrames(response)).toEqual([]);
  expect(asked).toBe(3);
});

test("previews come only to who asked, without an id, from their start to their event", async () => {
  const sessionId = await newSession();
  const asked = await openStream(sessionId, { query: "?event_deltas[]=agent.message" });
  const plain = await openStream(sessionId);
  const frame = (content: PreviewFrame) => server.notices.publish({ type: "frame", sessionId, frame: content });
  const delta = (id: string, text: string) =>
    frame({
      type: "event_delta",
      event_id: id,
      delta: { type: "content_delta", index: 0, content: { type: "text", text } },
    });
  const final = message("Hello.");
  const shown = Promise.withResolvers<void>();
  const reading = readFrames(asked, (frames) => {
    if (frames.at(-1)?.type === "agent.message") shown.resolve();
    return frames.at(-1)?.data.includes("the end") ?? false;
  });
  delta("sevt_missed", "no start was seen");
  frame({ type: "event_start", event: { type: "agent.thinking", id: createId("event") } });
  frame({ type: "event_start", event: { type: "agent.message", id: final.id } });
  delta(final.id, "Hel");
  delta(final.id, "lo.");
  const [stored] = await server.test.database
    .transaction()
    .execute((transaction) => appendUnderLock(transaction, sessionId, [final]));
  server.notices.publish({ type: "appended", sessionId, seq: stored?.seq ?? 0 });
  await shown.promise;
  delta(final.id, " Late.");
  await appendMessage(server, sessionId, "the end");
  const frames = await reading;
  const deltas = frames.filter((one) => one.type === "event_delta");
  expect(
    deltas
      .map((one) => preview.parse(JSON.parse(one.data)))
      .map((one) => (one.type === "event_delta" ? one.delta.content.text : ""))
      .join(""),
  ).toBe("Hello.");
  const types = frames.map((one) => one.type);
  expect(types.filter((type) => type !== "event_delta")).toEqual(["event_start", "agent.message", "agent.message"]);
  expect(types.lastIndexOf("event_delta")).toBeLessThan(types.indexOf("agent.message"));
  expect(frames.filter((one) => one.type.startsWith("event_")).every((one) => one.id === undefined)).toBe(true);
  expect(JSON.parse(frames.find((one) => one.type === "agent.message")?.data ?? "")).toMatchObject({ id: final.id });
  const others = await readFrames(plain, (read) => read.length === 2);
  expect(others.map((one) => one.type)).toEqual(["agent.message", "agent.message"]);
});

test("the end of a session ends its streams, and is told again to whoever comes later", async () => {
  const sessionId = await newSession();
  const open = readFrames(await openStream(sessionId));
  await sdk.beta.sessions.archive(sessionId);
  expect((await open).map((frame) => frame.type)).toEqual(["session.status_terminated"]);
  const late = await readFrames(await openStream(sessionId));
  expect(late.map((frame) => frame.type)).toEqual(["session.status_terminated"]);
  expect(
    (await readFrames(await openStream(sessionId, { after: Number(late[0]?.id) }))).map((frame) => frame.id),
  ).toEqual([late[0]?.id]);
});

test("a session that vanishes says so, with or without a notice", async () => {
  for (const notify of [true, false]) {
    const sessionId = await newSession();
    const open = readFrames(notify ? await openStream(sessionId) : await openQuick(sessionId));
    await server.test.database.deleteFrom("sessions").where("id", "=", sessionId).execute();
    if (notify) server.notices.publish({ type: "deleted", sessionId });
    const [frame] = await open;
    expect(frame).toMatchObject({ type: "session.deleted", id: undefined });
    expect(JSON.parse(frame?.data ?? "")).toMatchObject({
      type: "session.deleted",
      id: expect.stringMatching(/^sevt_/),
    });
  }
});

test("a stream that cannot be is refused before it begins", async () => {
  const sessionId = await newSession();
  const stranger = await server.newOrganization();
  const foreign = await fetch(`${server.listener.url}/v1/sessions/${sessionId}/events/stream`, {
    headers: { "x-api-key": stranger.apiKey },
  });
  expect(foreign.status).toBe(404);
  const beyond = await openStream(sessionId, { after: 1_000_000 });
  expect(await beyond.json()).toMatchObject({ error: { code: "invalid_cursor" } });
});

function countingBoard() {
  let subscribers = 0;
  const board: NoticeBoard = {
    publish: (notice) => server.notices.publish(notice),
    subscribe(sessionId, listener) {
      subscribers += 1;
      const unsubscribe = server.notices.subscribe(sessionId, listener);
      return () => {
        subscribers -= 1;
        unsubscribe();
      };
    },
  };
  return { board, subscribers: () => subscribers };
}

test("nothing is left of a stream that is cancelled, aborted, refused or closed", async () => {
  const { board, subscribers } = countingBoard();
  const streams = createEventStreams({ notices: board, log: silentLog });
  const sessionId = await newSession();
  const request = (signal = new AbortController().signal): StreamRequest => ({
    source: sessionSource(server.sessions, principal, sessionId),
    after: null,
    previews: new Set(),
    signal,
    hangUp: () => undefined,
    isRevoked: async () => false,
  });
  const cancelled = await streams.open(request());
  const controller = new AbortController();
  const aborted = await streams.open(request(controller.signal));
  const closed = await streams.open(request());
  expect(subscribers()).toBe(3);
  await cancelled.cancel();
  expect(subscribers()).toBe(2);
  controller.abort();
  expect(subscribers()).toBe(1);
  const unknown = sessionSource(server.sessions, principal, "sesn_none");
  await expect(streams.open({ ...request(), source: unknown })).rejects.toMatchObject({ code: "not_found" });
  expect(subscribers()).toBe(1);
  streams.closeAll();
  expect(subscribers()).toBe(0);
  for (const stream of [aborted, closed]) for await (const bytes of stream) expect(bytes).toBeInstanceOf(Uint8Array);
});

test("a client that does not read is hung up on, and what waited for it is bounded", async () => {
  const { board, subscribers } = countingBoard();
  const streams = createEventStreams({
    notices: board,
    log: silentLog,
    pingMilliseconds: 30,
  });
  const sessionId = await newSession();
  for (let index = 0; index < 20; index += 1) await appendMessage(server, sessionId, "x".repeat(10_000));
  await new Promise<void>((resolve) => {
    void streams.open({
      source: sessionSource(server.sessions, principal, sessionId),
      after: 0,
      previews: new Set(),
      signal: new AbortController().signal,
      hangUp: resolve,
      isRevoked: async () => false,
    });
  });
  expect(subscribers()).toBe(0);
});

test("a server that stops ends its streams first, and does not wait for them", async () => {
  const own = await listen(server.http, "127.0.0.1", 0);
  const sessionId = await newSession();
  const response = await fetch(`${own.url}/v1/sessions/${sessionId}/events/stream`, {
    headers: { authorization: `Bearer ${apiKey}` },
  });
  const reading = readFrames(response);
  // Longer than the test may take: only ended streams let it end.
  await own.stop(60_000);
  expect(await reading).toEqual([]);
});
