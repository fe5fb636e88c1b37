/** One model call, its previews on the way. Deltas reach clients in batches and are never stored. @module */
import { createId } from "@exoloop/protocol/ids";
import { ModelError, type ModelProvider, type ModelRequest, type ModelUsage } from "../models/model.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import type { ModelOutcome } from "./effects.ts";

const deltaBatchMs = 30;

const nothingUsed: ModelUsage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, estimated: false };
const silent: Pick<NoticeBoard, "publish"> = { publish: () => undefined };

/**
 * Never rejects: a failure of the model is an outcome.
 * @param board Null: no client sees the answer as it arrives.
 * @param onCall The answer has opened a call; its arguments are still to come.
 */
export async function streamModel(
  models: ModelProvider,
  board: NoticeBoard | null,
  sessionId: string,
  request: ModelRequest,
  onCall: (toolName: string) => void = () => undefined,
): Promise<ModelOutcome> {
  if (request.abortSignal.aborted) return { type: "interrupted", usage: nothingUsed };
  const notices = board ?? silent;
  const previewIds: string[] = [];
  const deltas = createDeltaBatch(notices, sessionId);
  const startPreview = (type: "agent.message" | "agent.thinking") => {
    const id = createId("event");
    previewIds.push(id);
    notices.publish({ type: "frame", sessionId, frame: { type: "event_start", event: { type, id } } });
    return id;
  };
  try {
    for await (const part of models.stream(request)) {
      if (part.type === "text_start") deltas.begin(startPreview("agent.message"));
      else if (part.type === "thinking_start") startPreview("agent.thinking");
      else if (part.type === "text_delta") deltas.add(part.text);
      else if (part.type === "text_end") deltas.flush();
      else if (part.type === "tool_call_start") onCall(part.toolName);
      else if (part.type === "finish") {
        const { content, usage, finishReason } = part;
        return { type: "answered", content, usage, finishReason, previewIds };
      }
    }
    return { type: "failed", error: new ModelError("unavailable", "The model's stream ended before its answer did.") };
  } catch (error) {
    const usage = error instanceof ModelError ? (error.usage ?? null) : null;
    if (request.abortSignal.aborted) return { type: "interrupted", usage };
    if (error instanceof ModelError) return { type: "failed", error };
    return { type: "failed", error: new ModelError("unavailable", "The model call failed for an unexpected reason.") };
  } finally {
    deltas.flush();
  }
}

function createDeltaBatch(notices: Pick<NoticeBoard, "publish">, sessionId: string) {
  let eventId = "";
  let text = "";
  let timer: NodeJS.Timeout | null = null;
  const flush = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (text === "") return;
    const content = { type: "text", text } as const;
    text = "";
    notices.publish({
      type: "frame",
      sessionId,
      frame: { type: "event_delta", event_id: eventId, delta: { type: "content_delta", index: 0, content } },
    });
  };
  return {
    begin(id: string) {
      flush();
      eventId = id;
    },
    add(delta: string) {
      text += delta;
      timer ??= setTimeout(flush, deltaBatchMs);
    },
    flush,
  };
}
