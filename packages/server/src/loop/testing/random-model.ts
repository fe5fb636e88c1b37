/** A model that answers by chance: text, calls, nonsense, failures; more and more sensibly, so that it comes to an end. @module */
import { ModelError, type ModelErrorKind, type ModelRequest, type ModelUsage } from "../../models/model.ts";
import type { ModelOutcome } from "../effects.ts";
import type { Random } from "@exoloop/sandbox/testing/random";

/** Calls of the model after which it only answers. */
const wildCalls = 10;

const usage: ModelUsage = { input: 100, output: 10, cacheRead: 0, cacheWrite: 0, estimated: false };
const kinds: readonly ModelErrorKind[] = ["rate_limited", "overloaded", "unavailable", "context_overflow", "rejected"];
const inputs: Readonly<Record<string, readonly object[]>> = {
  read: [{}],
  grep: [{}],
  bash: [{}],
  edit: [{}],
  nothing: [{}],
  ask_person: [{}],
  wait_for: [{ seconds: 5 }, { webhook: "ci" }, { session_id: "sesn_1" }, {}],
  delegate: [{ agent: "anna", task: "Do it." }, { agent: "nobody", task: "Do it." }, {}],
};

export function createRandomModel(random: Random): (request: Pick<ModelRequest, "messages">) => ModelOutcome {
  let calls = 0;
  return ({ messages }) => {
    calls += 1;
    const wild = calls <= wildCalls;
    if (wild && random.chance(0.2)) return { type: "failed", error: new ModelError(random.pick(kinds), "By chance.") };
    const last = messages.at(-1);
    const said = last?.role === "user" ? last.content.at(-1) : undefined;
    const asked = said?.type === "text" ? said.text : "";
    if (asked.startsWith("<compaction_request>")) return answer(wild && random.chance(0.2) ? "" : "A summary.");
    if (asked.startsWith("<outcome_evaluation_request>")) {
      const grades = ['{"result": "satisfied"}', '{"result": "needs_revision", "explanation": "No."}', "Nonsense."];
      return answer(wild ? random.pick(grades) : '{"result": "satisfied"}');
    }
    if (!wild || random.chance(0.3)) return answer("An answer.");
    if (random.chance(0.05)) return { ...answer("No."), finishReason: "refusal" };
    return callTools(random);
  };
}

type Answered = Extract<ModelOutcome, { type: "answered" }>;

function answer(text: string): Answered {
  const content = text === "" ? [] : [{ type: "text" as const, text }];
  return { type: "answered", content, usage, finishReason: "stop", previewIds: [] };
}

function callTools(random: Random): Answered {
  const content = Array.from({ length: 1 + random.below(4) }, () => {
    const toolName = random.pick(Object.keys(inputs));
    const input = random.chance(0.05) ? null : { ...random.pick(inputs[toolName] ?? []) };
    return { type: "tool_call" as const, callId: `call_${crypto.randomUUID()}`, toolName, input };
  });
  return { ...answer(""), content, finishReason: random.chance(0.05) ? "length" : "tool_calls" };
}
