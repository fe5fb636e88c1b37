/** Skills: the revision that a turn sees, and what the model is told of them. Pure. @module */
import type { SessionState } from "../state.ts";
import { appendUserMessage, readNumber, type Reducers } from "./fields.ts";

export const skillReducers: Reducers = {
  /**
   * At the beginning of a turn. `listing` stands at the head, before anything was said; `note` at the tail, so that what
   * the provider has cached of the head stays good.
   */
  "x.skills": (state, _data, record): SessionState => {
    const { listing, note } = record;
    const skills = {
      revision: readNumber(record["revision"]),
      listing: typeof listing === "string" ? listing : (state.skills?.listing ?? null),
    };
    if (typeof note !== "string") return { ...state, skills };
    return { ...state, skills, transcript: appendUserMessage(state.transcript, [{ type: "text", text: note }]) };
  },
};
