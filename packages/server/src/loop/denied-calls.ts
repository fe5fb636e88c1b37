/**
 * Policy is asked again when a call begins: between its decision and now an answer or a budget may have been waited for,
 * and the agent's tools may have been changed.
 * @module
 */
import type { LogEvent } from "../sessions/event.ts";
import type { AuditEntry } from "../sessions/log.ts";
import type { OpenCall, SessionState, ToolCallPart } from "../sessions/state.ts";
import type { Effects } from "./effects.ts";
import { runningEvents } from "./model-events.ts";
import { resultEvent } from "./run-tools.ts";

/** Calls that have not begun, and that policy denies by now. */
export function deniedCalls(calls: readonly OpenCall[], effects: Effects): readonly OpenCall[] {
  return calls.filter((call) => call.status === "ready" && effects.decideCall(partOf(call)).decision === "deny");
}

/** The stored call gets its error result; the decision's audit row is in the same transaction. */
export async function refuseDenied(
  calls: readonly OpenCall[],
  state: SessionState,
  effects: Effects,
): Promise<readonly LogEvent[] | null> {
  const denied = deniedCalls(calls, effects);
  const text = "This call is not allowed by policy any more, and was not run.";
  const results = denied.map((call) => resultEvent(call, { content: [{ type: "text", text }], isError: true }));
  const audit = denied.map((call): AuditEntry => {
    const part = partOf(call);
    const { decision, reasons } = effects.decideCall(part);
    return {
      action: "tool.call",
      resource: call.toolName,
      decision,
      reasons,
      digest: effects.callDigest(part, call.bound ?? undefined),
    };
  });
  return effects.append({ events: [...runningEvents(state), ...results], status: "running", onlyAt: state.seq, audit });
}

function partOf({ callId, toolName, input }: OpenCall): ToolCallPart {
  return { type: "tool_call", callId, toolName, input };
}
