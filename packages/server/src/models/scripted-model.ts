/**
 * The built-in model: no key, no network. It plays a script that the user sends, or a brain: a program that decides
 * each step from what the tools have answered. For demonstrations, for tests, and for trying an installation out.
 * @module
 */
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type AssistantPart,
  type FinishReason,
  type ModelAdapter,
  ModelError,
  type ModelRequest,
  type ModelStreamPart,
  type ModelUsage,
  type SignOfLife,
} from "./model.ts";
import { parseModelName } from "./model-name.ts";
import { type Brain, type Fault, findScript, type Step, textOf } from "./script.ts";
import { holdsSummary } from "./script-memory.ts";
import { answerRequest } from "./scripted-requests.ts";
import { parseToolArguments } from "./tool-arguments.ts";
import { estimateUsage } from "./usage.ts";

const chunkLength = 24;
const rememberedFaults = 1000;
const help =
  "I am the scripted model: I do what a script says. Send me one as a fenced block that begins with ```script and holds " +
  'JSON, for example [{"toolCalls": [{"name": "bash", "input": {"command": "ls"}}]}, {"text": "Done."}].';

/**
 * `scripted` and `scripted/inline` play the script of the conversation, `scripted/<name>` the brain of that name.
 * @example createScriptedModels({ repair: repairBrain }).serves("scripted/repair") // true
 */
export function createScriptedModels(brains: Readonly<Record<string, Brain>>): ModelAdapter {
  const faults = createFaultCounter();
  const names = Object.keys(brains);
  const brainOf = (model: string): Brain | undefined => {
    const name = parseModelName(model);
    if (name?.family !== "scripted") return undefined;
    if (name.id === "inline") return inlineBrain;
    return Object.hasOwn(brains, name.id) ? brains[name.id] : undefined;
  };
  return {
    serves: (model) => brainOf(model) !== undefined,
    list: () => [
      { id: "scripted", displayName: "Scripted" },
      ...names.map((name) => ({ id: `scripted/${name}`, displayName: `Scripted: ${name}` })),
    ],
    async *stream(request) {
      const brain = brainOf(request.model);
      if (brain === undefined) {
        const known = ["inline", ...names].map((name) => `scripted/${name}`).join(", ");
        throw new ModelError("not_configured", `There is no model ${JSON.stringify(request.model)}. Known: ${known}.`);
      }
      const step = answerRequest(request) ?? brain(request);
      try {
        yield* playStep(step, request, faults.take(step.fault, request));
      } catch (error) {
        if (request.abortSignal.aborted) throw new ModelError("aborted", "The model call was aborted.");
        throw error;
      }
    },
  };
}

const inlineBrain: Brain = (conversation) => {
  const found = findScript(conversation);
  if (found.type === "invalid") return { text: `The script is not valid. ${found.problem}` };
  if (found.type === "script") {
    return found.steps[found.position] ?? { text: `The script has ended after ${found.steps.length} steps.` };
  }
  const said = textOf(conversation.messages.findLast((message) => message.role === "user"));
  return { text: `You said: ${said.slice(0, 200)}\n\n${help}` };
};

async function* playStep(
  step: Step,
  request: ModelRequest,
  fault: Fault | null,
): AsyncGenerator<ModelStreamPart | SignOfLife> {
  const { abortSignal } = request;
  if (step.delayMs !== undefined) await sleep(step.delayMs, undefined, { signal: abortSignal });
  abortSignal.throwIfAborted();
  await failBefore(fault, abortSignal);
  const content: AssistantPart[] = [];
  if (fault?.kind !== "empty") {
    const text = fault?.kind === "disconnect" ? halfOf(step.text ?? "") : (step.text ?? "");
    yield* playThinking(step, content);
    yield* playText(text, step.chunkDelayMs ?? 0, request, content);
    if (fault?.kind === "disconnect") throw new ModelError("unavailable", "The script says: the connection is cut.");
    yield* playCalls(step, fault, content);
  }
  yield {
    type: "finish",
    content,
    usage: stepUsage(step, request, content),
    finishReason: finishReason(fault, content),
  };
}

/** Failures before anything has arrived. */
async function failBefore(fault: Fault | null, abortSignal: AbortSignal): Promise<void> {
  const kind = fault?.kind;
  if (kind === "rate_limited" || kind === "overloaded" || kind === "context_overflow") {
    throw new ModelError(kind, `The script says: ${kind}.`, fault?.retryAfterMs);
  }
  if (kind === "server_error") throw new ModelError("unavailable", "The script says: server_error.");
  if (kind !== "timeout") return;
  // Whoever called gives up, by an abort or by a limit of its own, which aborts too.
  await new Promise((_resolve, reject) => {
    abortSignal.addEventListener("abort", () => reject(abortSignal.reason), { once: true });
  });
}

function stepUsage({ usage }: Step, request: ModelRequest, content: readonly AssistantPart[]): ModelUsage {
  if (usage === undefined) return estimateUsage(request, content);
  const { input, output, cacheRead = 0, cacheWrite = 0 } = usage;
  return { input, output, cacheRead, cacheWrite, estimated: false };
}

function* playThinking(step: Step, content: AssistantPart[]): Generator<ModelStreamPart | SignOfLife> {
  if (step.thinking === undefined) return;
  yield { type: "thinking_start" };
  yield { type: "sign_of_life", characters: step.thinking.length };
  yield { type: "thinking_end" };
  content.push({ type: "thinking", text: step.thinking });
}

async function* playText(
  text: string,
  chunkDelayMs: number,
  { abortSignal }: ModelRequest,
  content: AssistantPart[],
): AsyncGenerator<ModelStreamPart | SignOfLife> {
  if (text === "") return;
  yield { type: "text_start" };
  for (const chunk of splitText(text)) {
    if (chunkDelayMs > 0) await sleep(chunkDelayMs, undefined, { signal: abortSignal });
    abortSignal.throwIfAborted();
    yield { type: "text_delta", text: chunk };
  }
  yield { type: "text_end" };
  content.push({ type: "text", text });
}

function* playCalls(step: Step, fault: Fault | null, content: AssistantPart[]): Generator<ModelStreamPart> {
  const written = writtenArguments(step.toolCalls, fault?.kind);
  for (const [index, { name }] of (step.toolCalls ?? []).entries()) {
    yield { type: "tool_call_start", toolName: name };
    const input = parseToolArguments(written[index] ?? "");
    content.push({ type: "tool_call", callId: `call_${randomUUID()}`, toolName: name, ...input });
  }
}

function finishReason(fault: Fault | null, content: readonly AssistantPart[]): FinishReason {
  if (fault?.kind === "length" || fault?.kind === "refusal") return fault.kind;
  return content.some((part) => part.type === "tool_call") ? "tool_calls" : "stop";
}

/**
 * Arguments as a model writes them. One that loses the thread ends all of them wrongly; one whose answer is cut at its
 * maximum length has written half of the last.
 */
export function writtenArguments(calls: Step["toolCalls"], fault: string | undefined): readonly string[] {
  return (calls ?? []).map(({ input }, index, all) => {
    const json = JSON.stringify(input);
    if (fault === "malformed_arguments") return `${json.slice(0, -1)},`;
    return fault === "length" && index === all.length - 1 ? halfOf(json) : json;
  });
}

function halfOf(text: string): string {
  return text.slice(0, Math.ceil(text.length / 2));
}

/** Pieces of at least 24 characters that end where a word does. */
export function splitText(text: string): readonly string[] {
  return text.match(new RegExp(`[\\s\\S]{${chunkLength}}\\S*\\s*|[\\s\\S]+$`, "g")) ?? [];
}

/**
 * Counts how often a step has failed. An attempt is known by what it was asked, for nothing else distinguishes a retry;
 * the count is this process's own, and is forgotten when the step has been played.
 */
function createFaultCounter() {
  const failures = new Map<string, number>();
  return {
    take(fault: Fault | undefined, { model, system, messages }: ModelRequest): Fault | null {
      if (fault === undefined) return null;
      if (["malformed_arguments", "length", "refusal"].includes(fault.kind)) return fault;
      // Not counted: another worker may hold the call that follows the compaction.
      if (fault.kind === "context_overflow") {
        return messages.some((message) => holdsSummary(textOf(message))) ? null : fault;
      }
      const key = createHash("sha256")
        .update(JSON.stringify([model, system, messages]))
        .digest("base64");
      const failed = failures.get(key) ?? 0;
      failures.delete(key);
      if (failed >= (fault.times ?? 1)) return null;
      failures.set(key, failed + 1);
      const oldest = failures.keys().next();
      if (failures.size > rememberedFaults && !oldest.done) failures.delete(oldest.value);
      return fault;
    },
  };
}
