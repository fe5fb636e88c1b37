/** Input that somebody may admit to a session at this moment, chosen by chance. @module */
import { createId } from "@exoloop/protocol/ids";
import { type NewEvent, publicEvent, recordEvent } from "../../sessions/event.ts";
import type { OpenCall, SessionState } from "../../sessions/state.ts";
import type { Random } from "@exoloop/sandbox/testing/random";

const text = (value: string) => [{ type: "text", text: value }];

/** @param answered Calls that were answered already: no answer is admitted twice. */
export function randomInput(state: SessionState, answered: Set<string>, random: Random): NewEvent {
  const answer = random.chance(0.5) ? answerTo(state, answered, random) : null;
  if (answer !== null) return answer;
  const chance = random.next();
  if (chance < 0.45) {
    const delivery = random.chance(0.3) ? { x_exoloop: { delivery: "queue" } } : {};
    return publicEvent("user.message", { content: text(`message ${random.below(1_000)}`), ...delivery });
  }
  if (chance < 0.8) return publicEvent("user.interrupt", {});
  return publicEvent("user.define_outcome", {
    outcome_id: createId("event"),
    description: "Do it.",
    rubric: { type: "text", content: "It is done." },
    max_iterations: 1 + random.below(3),
  });
}

/** A call that a worker runs may be answered twice: by whoever approves it, and by the worker. */
function answerKey({ toolUseId, status }: OpenCall): string {
  return status === "awaiting_approval" ? approvalKey(toolUseId) : toolUseId;
}

export function approvalKey(toolUseId: string): string {
  return `approval of ${toolUseId}`;
}

/** What one of the open calls waits for; null when none waits. */
export function answerTo(state: SessionState, answered: Set<string>, random: Random): NewEvent | null {
  const open = state.calls.filter(
    (call) =>
      !answered.has(answerKey(call)) &&
      ["awaiting_approval", "awaiting_result", "waiting", "delegated"].includes(call.status),
  );
  if (open.length === 0) return null;
  const call = random.pick(open);
  const { toolUseId, status, worker } = call;
  answered.add(answerKey(call));
  const content = text("an answer");
  const is_error = random.chance(0.2);
  switch (status) {
    case "awaiting_approval":
      return publicEvent("user.tool_confirmation", {
        tool_use_id: toolUseId,
        result: random.chance(0.6) ? "allow" : "deny",
      });
    case "awaiting_result":
      if (worker) return publicEvent("user.tool_result", { tool_use_id: toolUseId, content, is_error });
      return publicEvent("user.custom_tool_result", { custom_tool_use_id: toolUseId, content, is_error });
    case "waiting":
      return recordEvent("x.wait_ended", { tool_use_id: toolUseId, content, is_error });
    default: {
      const thread = state.threads.find((known) => known.toolUseId === toolUseId);
      const settled = { thread_id: thread?.threadId, tool_use_id: toolUseId, content, is_error, steps: 1 };
      return recordEvent("x.thread_settled", settled);
    }
  }
}
