/** Following a session until it waits, shared by `run` and `sessions attach`. @module */
import type { Api } from "../api.ts";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { exitCodeOfStop, exitCodes, type ExitCode } from "../exit-codes.ts";
import { createThreadFollower } from "./follow-threads.ts";
import { createWorkerCalls } from "./worker-calls.ts";
import { createNarrator, type Narrator } from "../render/narrator.ts";
import { isFields, readString, type StreamedEvent } from "../render/transcript.ts";

/** Shows one event: on a terminal as a transcript, with `--json` as one line of JSON (previews left out). */
export interface EventSink {
  show(event: StreamedEvent): void;
  readonly narrator: Narrator | null;
  close(): void;
}

export function createSink(context: CommandContext, json: boolean): EventSink {
  if (!json) {
    const narrator = createNarrator({ terminal: context });
    return { show: (event) => narrator.tell(event), narrator, close: () => narrator.close() };
  }
  return {
    show(event) {
      if (event.type !== "event_start" && event.type !== "event_delta") writeJson(context.output, event);
    },
    narrator: null,
    close: () => undefined,
  };
}

/** How the following ended. Null: it was detached. */
export function exitCodeOf(event: StreamedEvent): ExitCode | null {
  if (event.type === "session.status_idle") {
    const reason = event["stop_reason"];
    return exitCodeOfStop(isFields(reason) ? readString(reason, "type") : "");
  }
  if (event.type === "session.status_terminated" || event.type === "session.deleted") return exitCodes.failure;
  return null;
}

/**
 * Shows events until `isEnd` says how it ended. Ctrl-C detaches: the session goes on, and the last line says how to
 * come back.
 */
export async function followSession(
  context: CommandContext,
  api: Api,
  sessionId: string,
  sink: EventSink,
  isEnd: (event: StreamedEvent) => ExitCode | null,
  detach = new AbortController(),
): Promise<ExitCode> {
  const stopListening = context.onInterrupt(() => detach.abort());
  const onReconnect = () => {
    const text = "connection lost, trying again";
    if (sink.narrator === null) writeLine(context.progress, text);
    else sink.narrator.note(text);
  };
  const workerCalls = createWorkerCalls();
  const threads = sink.narrator === null ? null : createThreadFollower(api, sessionId, sink, detach.signal);
  try {
    for await (const event of api.follow(sessionId, detach.signal, onReconnect)) {
      if (workerCalls.restsOn(event)) {
        if (sink.narrator === null) sink.show(event);
        else sink.narrator.note("waits for a worker");
        continue;
      }
      if (threads?.take(event) !== true) sink.show(event);
      const ended = isEnd(event);
      if (ended === null) continue;
      await threads?.settle();
      return ended;
    }
    return detach.signal.aborted ? exitCodes.detached : exitCodes.ok;
  } catch (error) {
    if (detach.signal.aborted) return exitCodes.detached;
    throw error;
  } finally {
    stopListening();
    detach.abort();
    sink.close();
  }
}

/** What to type next, on the stream for progress. */
export function describeEnding(sessionId: string, exitCode: ExitCode): string | null {
  if (exitCode === exitCodes.detached) {
    return `Detached; the session goes on. Attach again: exoloop sessions attach ${sessionId}`;
  }
  if (exitCode === exitCodes.waitingForApproval) {
    return `Waiting for approval. Answer with /allow or /deny in: exoloop sessions attach ${sessionId}`;
  }
  if (exitCode === exitCodes.budgetReached) {
    return `Budget used up. The session's own: exoloop budgets set --session ${sessionId} …; shared ones: exoloop budgets list`;
  }
  return null;
}
