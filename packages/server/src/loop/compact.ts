/** Compaction as intent, effect and result: a summary takes the place of the transcript's head. @module */
import { historyDirectory } from "../files/path.ts";
import { ModelError, type TranscriptMessage } from "../models/model.ts";
import { type LogEvent, publicEvent } from "../sessions/event.ts";
import type { SessionState } from "../sessions/state.ts";
import { keptMessages, messageTokens } from "./context-size.ts";
import type { TurnLimits } from "./decide.ts";
import type { Effects } from "./effects.ts";
import { answeredEvent, failedEvents, interruptedEvent, nextAttempt, startEvents } from "./model-events.ts";

/** Share of the window that the request for a summary may fill. */
const requestShare = 0.7;
/** Share of the window, and characters, that stay of what the user said before. */
const userShare = 0.25;
const longestUserCharacters = 40_000;
const charactersPerToken = 4;
/** Characters to which the results of tools are cut when even the request would be too long. */
const cutResultCharacters = 400;

const request = [
  "<compaction_request>",
  "The conversation so far will be replaced by your summary of it; what the user said stays word for word. Write the",
  "summary for yourself: the task and its constraints, what was done and found (with exact paths, names, commands and",
  "values), what failed and why, what is open, and what you were about to do. Call no tool. Answer with the summary only.",
  "</compaction_request>",
].join("\n");

/**
 * The request's beginning is what the model has seen before, so a provider's prompt cache serves it. The messages that
 * stay are not summed up.
 */
export async function compact(
  state: SessionState,
  effects: Effects,
  limits: TurnLimits,
): Promise<readonly LogEvent[] | null> {
  const attempt = nextAttempt(state, "compaction", effects);
  const window = effects.contextWindow(attempt.model);
  const kept = keptMessages(state.transcript, window);
  const start = startEvents(state, attempt);
  const startId = start.at(-1)?.id ?? "";
  const intent = await effects.append({ events: start, status: "running", onlyAt: state.seq });
  if (intent === null) return null;
  const head = state.transcript.slice(0, state.transcript.length - kept);
  const messages = withRequest(fit(head, window * requestShare), request);
  const outcome = await effects.interruptible(state.seq, intent, (abortSignal) =>
    effects.callModel({ ...effects.describe(state), messages, model: attempt.model, abortSignal }, { shown: false }),
  );
  if (outcome.type === "interrupted") {
    const event = interruptedEvent(startId, attempt, state, outcome.usage, effects);
    return join(intent, await effects.append({ events: [event] }));
  }
  const summary = outcome.type === "answered" ? textOf(outcome.content) : "";
  if (outcome.type === "failed" || summary === "") {
    const error =
      outcome.type === "failed"
        ? outcome.error
        : new ModelError("unavailable", "The summary is empty.", undefined, outcome.usage);
    return join(
      intent,
      await effects.append({ events: failedEvents(startId, attempt, error, state, effects, limits) }),
    );
  }
  const end = answeredEvent(startId, attempt, { ...outcome, content: [] }, effects);
  const user_characters = Math.min(longestUserCharacters, Math.floor(window * userShare * charactersPerToken));
  const record = { summary: `${summary}\n\n${pointer}`, kept, user_characters };
  const compacted = publicEvent("agent.thread_context_compacted", {}, { record });
  return join(intent, await effects.append({ events: [end, compacted] }));
}

const pointer = `What tools have answered before is in files under ${historyDirectory}: list them with glob, search them with grep, show them with read.`;

function join(intent: readonly LogEvent[], result: readonly LogEvent[] | null): readonly LogEvent[] | null {
  return result === null ? null : [...intent, ...result];
}

export function textOf(content: readonly { readonly type: string; readonly text?: string }[]): string {
  return content
    .flatMap((part) => (part.type === "text" && part.text !== undefined ? [part.text] : []))
    .join("\n")
    .trim();
}

/** A request of the loop, as the last thing that the user says. */
export function withRequest(messages: readonly TranscriptMessage[], text: string): readonly TranscriptMessage[] {
  const part = { type: "text", text } as const;
  const last = messages.at(-1);
  if (last?.role !== "user") return [...messages, { role: "user", content: [part] }];
  return [...messages.slice(0, -1), { role: "user", content: [...last.content, part] }];
}

/**
 * Unchanged where it fits. Else results of tools are cut, and then the oldest exchanges are left out: not the first
 * message, which holds the task or the summary before this one.
 */
function fit(messages: readonly TranscriptMessage[], maximumTokens: number): readonly TranscriptMessage[] {
  const size = (list: readonly TranscriptMessage[]) => list.reduce((sum, message) => sum + messageTokens(message), 0);
  if (size(messages) <= maximumTokens) return messages;
  const [first, ...others] = messages.map(cutResults);
  if (first === undefined) return messages;
  let rest = others;
  while (rest.length > 0 && size([first, ...rest]) > maximumTokens) {
    const next = rest.findIndex((message, index) => index > 0 && message.role === "assistant");
    rest = next === -1 ? [] : rest.slice(next);
  }
  return [first, ...rest];
}

function cutResults(message: TranscriptMessage): TranscriptMessage {
  if (message.role !== "tool") return message;
  const results = message.results.map((result) => ({
    ...result,
    content: result.content.map((part) =>
      part.type === "text" ? { ...part, text: part.text.slice(0, cutResultCharacters) } : part,
    ),
  }));
  return { ...message, results };
}
