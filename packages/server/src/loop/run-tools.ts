/** Tool calls: decided, refused, run. Each is intent, effect and result under the identifier of its event. @module */
import { type LogEvent, type NewEvent, publicEvent, recordEvent } from "../sessions/event.ts";
import { writeContent } from "../sessions/content.ts";
import type { CallResult, OpenCall, SessionState, ToolCallPart } from "../sessions/state.ts";
import type { PreparedCall, ToolResult } from "../tools/tool.ts";
import type { AuditEntry } from "../sessions/log.ts";
import type { Effects } from "./effects.ts";
import { runningEvents } from "./model-events.ts";

/** The decision, its audit row and the event that shows it are one transaction, before any effect of the call. */
export async function decideCalls(calls: readonly ToolCallPart[], state: SessionState, effects: Effects) {
  const prepared = await Promise.all(
    calls.map((call) => (refusalOf(call, state) === null ? effects.prepareCall(call) : Promise.resolve(null))),
  );
  const decided = calls.map((call, index) => decideOne(call, prepared[index] ?? null, state, effects));
  const [events, audit] = [decided.map((entry) => entry.event), decided.map((entry) => entry.audit)];
  return effects.append({ events, audit, joins: true });
}

function decideOne(
  call: ToolCallPart,
  prepared: PreparedCall | null,
  state: SessionState,
  effects: Effects,
): { readonly event: NewEvent; readonly audit: AuditEntry } {
  const { decision, custom, policy, reasons } = effects.decideCall(call);
  const refusal = refusalOf(call, state) ?? (prepared !== null && "refusal" in prepared ? prepared.refusal : null);
  const found = prepared !== null && "bound" in prepared ? prepared : null;
  const audit: AuditEntry = {
    action: "tool.call",
    resource: call.toolName,
    decision: refusal === null ? decision : "deny",
    reasons: refusal === null ? reasons : [refusal],
    digest: effects.callDigest(call, found?.bound),
  };
  const record = { call_id: call.callId, ...(refusal === null ? {} : { refusal }) };
  const input = call.input ?? {};
  // A custom call that cannot run is shown as a built-in one: a client would otherwise run it.
  if (custom && refusal === null) {
    return { event: publicEvent("agent.custom_tool_use", { name: call.toolName, input }, { record }), audit };
  }
  const worker = refusal === null && decision !== "deny" && effects.atWorker(call.toolName) ? { worker: true } : {};
  const evaluation =
    policy === "auto" ? { type: "auto", evaluated_permission: autoPermission(decision) } : { type: policy };
  const data = {
    name: call.toolName,
    input,
    evaluated_permission: refusal === null ? decision : "deny",
    evaluation,
    ...(found === null ? {} : { x_exoloop: { review: found.review } }),
  };
  const bound = found === null ? {} : { bound: found.bound };
  return { event: publicEvent("agent.tool_use", data, { record: { ...record, ...worker, ...bound } }), audit };
}

function autoPermission(decision: "allow" | "ask" | "deny") {
  return decision === "allow" ? { type: decision } : { type: decision, reason_code: "tool_changes_state" };
}

/** Why a call cannot run, whatever policy says. Null when it can. */
function refusalOf(call: ToolCallPart, state: SessionState): string | null {
  if (call.input === null) {
    return `The arguments of this call are not a JSON object, so nothing was run: ${(call.malformed ?? "").slice(0, 200)}`;
  }
  return state.halted === "interrupted" ? "The user interrupted before this call ran." : null;
}

/** Results of calls that do not run here: refusals, and what parked calls have waited for. */
export async function settleTools(calls: readonly OpenCall[], state: SessionState, effects: Effects) {
  const results = calls.map((call) => {
    const refused: CallResult = { content: [{ type: "text", text: call.refusal ?? "Refused." }], isError: true };
    return call.worker ? workerResultEvent(call, refused) : resultEvent(call, call.result ?? refused);
  });
  // For workers it is one answer among the others, taken at once.
  const answers = results.filter((event) => event.type === workerResult).map((event) => event.id);
  const consumed = answers.length === 0 ? [] : [recordEvent("x.consumed", { event_ids: answers })];
  const goesOn = calls.some((call) => call.status === "arrived");
  const events = [...(goesOn ? runningEvents(state) : []), ...results, ...consumed];
  const endedWaits = calls.filter((call) => call.wait !== null).map((call) => call.toolUseId);
  // A worker's own result that came in this very moment is the result: a call has one.
  const alone = answers.length === 0 ? {} : { onlyAt: state.seq };
  return effects.append({ events, endedWaits, ...alone, ...(goesOn ? { status: "running" as const } : {}) });
}

/**
 * Starts are recorded before anything runs; results are recorded together, in the order of the calls. A call that an
 * earlier driver started is resumed as its tool's replay rule says.
 */
export async function runTools(
  calls: readonly OpenCall[],
  state: SessionState,
  effects: Effects,
): Promise<readonly LogEvent[] | null> {
  const starts = calls
    .filter((call) => call.status === "ready")
    .map((call) => recordEvent("x.tool_started", { tool_use_id: call.toolUseId }));
  const begin = [...runningEvents(state), ...starts];
  // Input that came since the state was read is heard before another call begins: it may be an interrupt.
  const intent =
    begin.length === 0 ? [] : await effects.append({ events: begin, status: "running", onlyAt: state.seq });
  if (intent === null) return null;
  const results = await effects.interruptible(state.seq, intent, (signal) =>
    Promise.all(
      calls.map((call) =>
        effects.runTool(call, {
          resumed: call.status === "started",
          abortSignal: state.halted === "interrupted" ? AbortSignal.abort() : signal,
        }),
      ),
    ),
  );
  const settled = await effects.append({
    events: calls.map((call, index) => toolResultEvent(call, results[index] ?? missingResult)),
    joins: true,
  });
  return settled === null ? null : [...intent, ...settled];
}

const missingResult: ToolResult = { content: [{ type: "text", text: "The tool gave no result." }], isError: true };

function toolResultEvent(call: OpenCall, result: ToolResult): NewEvent {
  const event = resultEvent(call, result);
  const record = {
    ...(result.sandboxAwakeMs === undefined ? {} : { sandbox_awake_ms: result.sandboxAwakeMs }),
    ...(result.untrusted === true ? { untrusted: true } : {}),
  };
  return Object.keys(record).length === 0 ? event : { ...event, record };
}

const workerResult = "user.tool_result";

/**
 * A call that was left to a worker ends with the event that the worker would have sent: whoever reads the log there must
 * not run it any more.
 */
function workerResultEvent({ toolUseId }: OpenCall, result: CallResult): NewEvent {
  return publicEvent(workerResult, {
    tool_use_id: toolUseId,
    content: writeContent(result.content),
    is_error: result.isError,
  });
}

export function resultEvent(call: OpenCall, result: CallResult): NewEvent {
  return publicEvent("agent.tool_result", {
    tool_use_id: call.toolUseId,
    content: writeContent(result.content),
    is_error: result.isError,
  });
}
