/** Previews whose notices arrive after the message itself. */
import { decodeFrames } from "@exoloop/client/frame-decoder";
import { afterAll, beforeAll, expect, test } from "vitest";
import { appendUnderLock } from "../sessions/log.ts";
import type { PreviewFrame } from "../sessions/notices.ts";
import { appendMessage, message, startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

test("a message that was sent has no preview any more", async () => {
  const { apiKey, principal } = await server.newOrganization();
  const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
  const post = async (path: string, body: object) => {
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    return ((await (await fetch(`${server.listener.url}${path}`, init)).json()) as { id: string }).id;
  };
  const agent = await post("/v1/agents", { name: "a", model: "scripted" });
  const environment = await post("/v1/environments", { name: "e" });
  const sessionId = await post("/v1/sessions", { agent, environment_id: environment });
  const path = `/v1/sessions/${sessionId}/events/stream?event_deltas[]=agent.message`;
  const response = await fetch(`${server.listener.url}${path}`, { headers });
  const late = message("whole");
  const [stored] = await server.test.database
    .transaction()
    .execute((transaction) => appendUnderLock(transaction, sessionId, [late]));
  const publish = (frame: PreviewFrame) => server.notices.publish({ type: "frame", sessionId, frame });
  server.notices.publish({ type: "appended", sessionId, seq: stored?.seq ?? 0 });
  publish({ type: "event_start", event: { type: "agent.message", id: late.id } });
  const delta = { type: "content_delta", index: 0, content: { type: "text", text: "who" } } as const;
  publish({ type: "event_delta", event_id: late.id, delta });
  publish({ type: "event_start", event: { type: "agent.message", id: "sevt_other" } });
  // A batch of notices of its own: notices of one batch are told with the first of them.
  await new Promise((resolve) => setTimeout(resolve, 50));
  await appendMessage(server, sessionId, "end");
  const seen: string[] = [];
  if (response.body === null) throw new Error("no stream");
  for await (const frame of decodeFrames(response.body)) {
    if (frame.data === "" || frame.type === "ping") continue;
    seen.push(frame.type);
    if (frame.data.includes('"end"')) break;
  }
  expect(seen).toEqual(["agent.message", "event_start", "agent.message"]);
  expect((await server.sessions.head(principal, sessionId)).seq).toBe(2);
});
