/** The work of a session's threads, shown between its own events. @module */
import type { Api } from "../api.ts";
import { readString, type StreamedEvent } from "../render/transcript.ts";

/** How long the last events of the threads are waited for when the session has come to rest. */
const settleMilliseconds = 500;

export interface ThreadFollower {
  /** True for an event of the session that is shown as the thread's own. */
  take(event: StreamedEvent): boolean;
  /** Waits until what threads at rest did has been shown. */
  settle(): Promise<void>;
}

export function createThreadFollower(
  api: Api,
  sessionId: string,
  sink: { show(event: StreamedEvent): void },
  signal: AbortSignal,
): ThreadFollower {
  /** Times that each thread has come to rest: as the session tells, and as the thread itself has shown. */
  const told = new Map<string, number>();
  const shown = new Map<string, number>();
  const count = (rests: Map<string, number>, threadId: string) => rests.set(threadId, (rests.get(threadId) ?? 0) + 1);

  async function follow(threadId: string): Promise<void> {
    for await (const event of api.followThread(sessionId, threadId, signal)) {
      if (event.type === "session.thread_status_idle") count(shown, threadId);
      if (isOwn(event)) sink.show({ ...event, session_thread_id: threadId });
    }
  }

  return {
    take(event) {
      const threadId = readString(event, "session_thread_id");
      if (event.type === "session.thread_status_idle") count(told, threadId);
      if (event.type === "session.thread_created") {
        // What cannot be shown of a thread does not end the following of its session.
        void follow(threadId).catch(() => undefined);
      }
      return event.type === "agent.thread_message_received";
    },
    async settle() {
      const isBehind = () => [...told].some(([threadId, rests]) => (shown.get(threadId) ?? 0) < rests);
      for (let waited = 0; waited < settleMilliseconds && isBehind(); waited += 20) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

/** The task was shown as it was given, status and calls that ask somebody are shown by the session. */
function isOwn(event: StreamedEvent): boolean {
  if (event.type.startsWith("user.") || event.type.startsWith("session.thread_")) return false;
  return event["evaluated_permission"] !== "ask" && event.type !== "agent.custom_tool_use";
}
