import Anthropic from "@anthropic-ai/sdk";
import { createClient } from "@exoloop/client/client";
import { createFrameDecoder, decodeFrames, type Frame } from "@exoloop/client/frame-decoder";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { publicEvent, recordEvent } from "../sessions/event.ts";
import { appendUnderLock } from "../sessions/log.ts";
import type { NoticeBoard, PreviewFrame } from "../sessions/notices.ts";
import { createEventStreams, type StreamRequest } from "./event-stream.ts";
import type { Principal } from "./session-port.ts";
import { silentLog, startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
let sdk: Anthropic;
let apiKey: string;
let principal: Principal;
let agent: string;
let environment: string;

beforeAll(async () => {
  server = await startTestServer({ pingMilliseconds: 200 });
  ({ apiKey, principal } = await server.newOrganization());
  sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  agent = (await sdk.beta.agents.create({ name: "a", model: "m" })).id;
  environment = (await sdk.beta.environments.create({ name: "e" })).id;
});
afterAll(() => server.stop());

const newSession = async () => (await sdk.beta.sessions.create({ agent, environment_id: environment })).id;
const message = (text: string) => publicEvent("agent.message", { content: [{ type: "text", text }] });

async function append(sessionId: string, text: string, options: { notify?: boolean; record?: boolean } = {}) {
  const events = options.record === true ? [recordEvent("x.note", {}), message(text)] : [message(text)];
  const stored = await server.test.database
    .transaction()
    .execute((transaction) => appendUnderLock(transaction, sessionId, events));
  const seq = stored.at(-1)?.seq ?? 0;
  if (options.notify !== false) server.notices.publish({ type: "appended", sessionId, seq });
  return seq;
}

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
  const head = await append(sessionId, "before");
  const response = await openStream(sessionId);
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(response.headers.get("request-id")).toMatch(/^req_/);
  const reader = response.body?.getReader();
  const first = createFrameDecoder().push((await reader?.read())?.value ?? new Uint8Array());
  expect(first).toEqual([{ type: "message", data: "", id: String(head) }]);
  const seq = await append(sessionId, "after");
  const text = new TextDecoder().decode((await reader?.read())?.value);
  await reader?.cancel();
  expect(text).toMatch(
    new RegExp(`^event: agent\\.message\nid: ${seq}\ndata: \\{.*"text":"after".*"processed_at":"20.*\\}\n\n$`),
  );
});

test("with Last-Event-ID, in the header or the query, the rest is replayed, and then it is live", async () => {
  const sessionId = await newSession();
  for (const text of ["1", "2", "3"]) await append(sessionId, text, { record: true });
  const all = await publicSeqs(sessionId);
  expect(idsOf(await readFrames(await openStream(sessionId, { after: 0 }), (frames) => frames.length === 3))).toEqual(
    all,
  );
  const rest = readFrames(
    await openStream(sessionId, { query: `?after_seq=${all[0]}` }),
    (frames) => frames.length === 3,
  );
  const last = await append(sessionId, "4");
  expect(idsOf(await rest)).toEqual([all[1], all[2], last]);
});

test("a client that breaks off again and again has every event exactly once, while others write", async () => {
  const sessionId = await newSession();
  const total = 150;
  const writing = (async () => {
    // Some notices are lost: the log is what counts.
    for (let index = 0; index < total; index += 1)
      await append(sessionId, `${index}`, { notify: index % 7 !== 0, record: index % 3 === 0 });
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

test("an event whose notice was lost comes with the next ping", async () => {
  const sessionId = await newSession();
  const response = await openStream(sessionId);
  const seq = await append(sessionId, "quiet", { notify: false });
  expect(idsOf(await readFrames(response, (frames) => frames.length === 1))).toEqual([seq]);
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
  delta("sevt_missed", "no start was seen");
  frame({ type: "event_start", event: { type: "agent.thinking", id: createId("event") } });
  frame({ type: "event_start", event: { type: "agent.message", id: final.id } });
  delta(final.id, "Hel");
  delta(final.id, "lo.");
  const [stored] = await server.test.database
    .transaction()
    .execute((transaction) => appendUnderLock(transaction, sessionId, [final]));
  server.notices.publish({ type: "appended", sessionId, seq: stored?.seq ?? 0 });
  delta(final.id, "late");
  const end = await append(sessionId, "end");
  const isEnd = (frames: Frame[]) => frames.at(-1)?.id === String(end);
  const frames = await readFrames(asked, isEnd);
  expect(frames.map((one) => one.type)).toEqual([
    "event_start",
    "event_delta",
    "event_delta",
    "agent.message",
    "agent.message",
  ]);
  expect(frames.slice(0, 3).map((one) => one.id)).toEqual([undefined, undefined, undefined]);
  expect(JSON.parse(frames[3]?.data ?? "")).toMatchObject({ id: final.id, type: "agent.message" });
  expect((await readFrames(plain, isEnd)).map((one) => one.type)).toEqual(["agent.message", "agent.message"]);
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
    const open = readFrames(await openStream(sessionId));
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
  const streams = createEventStreams({ sessions: server.sessions, notices: board, log: silentLog });
  const sessionId = await newSession();
  const request = (signal = new AbortController().signal): StreamRequest => ({
    principal,
    sessionId,
    after: null,
    previews: new Set(),
    signal,
    hangUp: () => undefined,
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
  await expect(streams.open({ ...request(), sessionId: "sesn_none" })).rejects.toMatchObject({ code: "not_found" });
  expect(subscribers()).toBe(1);
  streams.closeAll();
  expect(subscribers()).toBe(0);
  for (const stream of [aborted, closed]) for await (const bytes of stream) expect(bytes).toBeInstanceOf(Uint8Array);
});

test("a client that does not read is hung up on, and what waited for it is bounded", async () => {
  const { board, subscribers } = countingBoard();
  const streams = createEventStreams({
    sessions: server.sessions,
    notices: board,
    log: silentLog,
    pingMilliseconds: 30,
  });
  const sessionId = await newSession();
  for (let index = 0; index < 20; index += 1) await append(sessionId, "x".repeat(10_000));
  await new Promise<void>((resolve) => {
    void streams.open({
      principal,
      sessionId,
      after: 0,
      previews: new Set(),
      signal: new AbortController().signal,
      hangUp: resolve,
    });
  });
  expect(subscribers()).toBe(0);
});

test("our client follows over cut connections and a restart of the server: every event once, in order", async () => {
  const sessionId = await newSession();
  let connections = 0;
  const cutting: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (response.body === null || !response.ok) return response;
    connections += 1;
    let bytes = 300 + connections * 41;
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk.subarray(0, Math.max(bytes, 0)));
        bytes -= chunk.length;
        if (bytes <= 0) controller.error(new Error("cut"));
      },
    });
    return new Response(response.body.pipeThrough(cut), { status: response.status, headers: response.headers });
  };
  const client = createClient({ baseUrl: server.listener.url, apiKey, fetch: cutting });
  const opened = Promise.withResolvers<void>();
  const seen: string[] = [];
  const following = (async () => {
    for await (const item of client.events.stream(sessionId, { onOpen: opened.resolve }))
      if ("id" in item) seen.push(item.id);
  })();
  await opened.promise;
  for (let index = 0; index < 12; index += 1) await append(sessionId, `message ${index}`);
  await sdk.beta.sessions.archive(sessionId);
  await following;
  const all = await server.sessions.events(principal, sessionId, { order: "asc", limit: 1000 });
  expect(seen).toEqual(all.map((event) => event.id));
  expect(connections).toBeGreaterThan(2);
});

test("our client gives up at once where the server refuses, and ends quietly when told to", async () => {
  const client = createClient({ baseUrl: server.listener.url, apiKey });
  const refused = client.events.stream("sesn_none").next();
  await expect(refused).rejects.toMatchObject({
    name: "ApiError",
    status: 404,
    code: "not_found",
    hint: expect.any(String),
    requestId: expect.stringMatching(/^req_/),
  });
  const controller = new AbortController();
  const items: unknown[] = [];
  for await (const item of client.events.stream(await newSession(), {
    signal: controller.signal,
    onOpen: () => controller.abort(),
  }))
    items.push(item);
  expect(items).toEqual([]);
});

test("the SDK streams first and reads history afterwards: together every event once", async () => {
  const sessionId = await newSession();
  await append(sessionId, "before");
  const stream = await sdk.beta.sessions.events.stream(sessionId);
  const sent = await sdk.beta.sessions.events.send(sessionId, {
    events: [{ type: "user.message", content: [{ type: "text", text: "hi" }] }],
  });
  expect(sent.data).toMatchObject([{ type: "user.message", processed_at: null, id: expect.stringMatching(/^sevt_/) }]);
  expect(server.woken).toContain(sessionId);
  const ids = new Set<string>();
  for await (const event of sdk.beta.sessions.events.list(sessionId, { limit: 1 })) ids.add(event.id);
  for await (const event of stream) {
    if ("id" in event) ids.add(event.id);
    if (event.type === "user.message") break;
  }
  const all = await server.sessions.events(principal, sessionId, { order: "asc", limit: 1000 });
  expect([...ids].sort()).toEqual(all.map((event) => event.id).sort());
});
