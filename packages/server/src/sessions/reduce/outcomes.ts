/** Outcomes: what the session was asked to reach, and how far its evaluations say that it is. Pure. @module */
import type { SessionState } from "../state.ts";
import { appendUserMessage, readNumber, type Reducers } from "./fields.ts";

export const outcomeReducers: Reducers = {
  "span.outcome_evaluation_start": (state, data, _record, event) => ({
    ...state,
    evaluation: { startId: event.id, iteration: readNumber(data["iteration"]) },
  }),
  "span.outcome_evaluation_end": (state, data) => {
    const ended: SessionState = { ...state, evaluation: null };
    if (state.outcome === null) return ended;
    const explanation = String(data["explanation"]);
    switch (data["result"]) {
      case "needs_revision":
        return {
          ...ended,
          outcome: { ...state.outcome, iteration: state.outcome.iteration + 1 },
          transcript: judge(state, `The outcome is not reached yet. Revise the work.\n${explanation}`),
        };
      case "max_iterations_reached":
        return {
          ...ended,
          outcome: { ...state.outcome, iteration: state.outcome.iteration + 1, status: "acknowledging" },
          transcript: judge(
            state,
            `The outcome is not reached, and no further revision follows. Say briefly where the work stands.\n${explanation}`,
          ),
        };
      default:
        return { ...ended, outcome: null };
    }
  },
};

function judge(state: SessionState, verdict: string): SessionState["transcript"] {
  const text = `<outcome_evaluation>\n${verdict}\n</outcome_evaluation>`;
  return appendUserMessage(state.transcript, [{ type: "text", text }]);
}
