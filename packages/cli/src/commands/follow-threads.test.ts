import { expect, test } from "vitest";
import type { Api } from "../api.ts";
import { createNarrator } from "../render/narrator.ts";
import type { StreamedEvent } from "../render/transcript.ts";
import { createThreadFollower } from "./follow-threads.ts";

const text = (value: string) => [{ type: "text", text: value }];
const thread = { session_thread_id: "sthr_1", agent_name: "help\u001b[2Jer" };
const idle = { type: "session.thread_status_idle", ...thread, stop_reason: { type: "end_turn" } };

test("a thread's own work is shown under its name, what its session shows of it is not shown twice", async () => {
  const gate = Promise.withResolvers<void>();
  const own: StreamedEvent[] = [
    { type: "user.message", content: text("the task") },
    { type: "session.thread_status_running", ...thread },
    { type: "agent.tool_use", id: "1", name: "bash", input: { command: "ls" }, evaluated_permission: "allow" },
    { type: "agent.tool_use", id: "2", name: "bash", input: { command: "rm x" }, evaluated_permission: "ask" },
    { type: "agent.message", id: "3", content: text("Found it.") },
    idle,
  ];
  async function* followThread(): AsyncGenerator<StreamedEvent> {
    yield* own.slice(0, 3);
    await gate.promise;
    yield* own.slice(3);
  }
  let written = "";
  const output = { isTTY: false, write: (chunk: string) => (written += chunk) };
  const narrator = createNarrator({ terminal: { output, progress: output, environment: { NO_COLOR: "1" } } });
  const api = { followThread } as unknown as Api;
  const sink = { show: (event: StreamedEvent) => narrator.tell(event) };
  const follower = createThreadFollower(api, "sesn_1", sink, new AbortController().signal);
  const session: StreamedEvent[] = [
    { type: "session.thread_created", ...thread },
    {
      type: "agent.thread_message_sent",
      to_agent_name: "helper",
      to_session_thread_id: "sthr_1",
      content: text("the task"),
    },
    { ...own[3], type: "agent.tool_use", session_thread_id: "sthr_1" },
    { type: "agent.thread_message_received", from_agent_name: "helper", content: text("Found it.") },
    idle,
    { type: "session.status_idle", stop_reason: { type: "end_turn" } },
  ];
  for (const event of session) if (!follower.take(event)) sink.show(event);
  setTimeout(() => gate.resolve(), 50);
  await follower.settle();
  expect(written.split("\n")).toEqual([
    "▸ gives work to helper",
    "  the task",
    "? [help\\x1b[2Jer] bash  rm x",
    "  waits for approval: 2",
    "▸ [help\\x1b[2Jer] bash  ls",
    "● [help\\x1b[2Jer] Found it.",
    "",
  ]);
});
