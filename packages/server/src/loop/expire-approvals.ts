/**
 * Approvals that nobody gave in time. The time's end is an answer like a person's: it is in the log, in the words of the
 * API, and whoever comes after it is told that the call has been answered already.
 * @module
 */
import { type LogEvent, publicEvent } from "../sessions/event.ts";
import type { OpenCall, SessionState } from "../sessions/state.ts";
import type { TurnLimits } from "./decide.ts";
import type { Effects } from "./effects.ts";

/** Admitted, and taken in as every other answer; nothing when an answer came in this very moment. */
export async function expireApprovals(
  calls: readonly OpenCall[],
  state: SessionState,
  effects: Effects,
  { approvalMs }: TurnLimits,
): Promise<readonly LogEvent[] | null> {
  const events = calls.map(({ toolUseId, decidedAt }) => {
    const until = new Date(decidedAt + approvalMs).toISOString();
    return publicEvent("user.tool_confirmation", {
      tool_use_id: toolUseId,
      result: "deny",
      deny_message: `Nobody approved this call until ${until}: the time for it is over. It was not run.`,
      x_exoloop: { expired: true },
    });
  });
  return effects.append({ events, onlyAt: state.seq });
}

/** When the first approval that is waited for runs out, in milliseconds since the epoch; nothing where none is. */
export function approvalAlarms(state: SessionState, { approvalMs }: TurnLimits): readonly number[] {
  const waiting = state.calls.filter((call) => call.status === "awaiting_approval");
  return waiting.length === 0 ? [] : [Math.min(...waiting.map(({ decidedAt }) => decidedAt + approvalMs))];
}
