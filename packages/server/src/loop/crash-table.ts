/**
 * The crash table: for every effect of the loop, what the next worker does when this one was killed before, during or
 * after it. `bench durability` kills at every row and counts; a row that no kill met fails it.
 * @module
 */

export type CrashEffect =
  | "append"
  | "call-model"
  | "decide-calls"
  | "run-tool-safe"
  | "run-tool-bash"
  | "run-tool-never"
  | "compact"
  | "start-thread"
  | "rest-thread"
  | "start-wait"
  | "end-wait"
  | "capture"
  | "snapshot";

/** After: the effect has happened, and its result is not in the log. */
export type CrashMoment = "before" | "during" | "after";

export interface CrashRow {
  /** `effect.moment` */
  readonly id: string;
  readonly effect: CrashEffect;
  readonly moment: CrashMoment;
  /** What the next worker does. */
  readonly next: string;
}

type Consequences = Readonly<Record<CrashMoment, string>>;

const consequences: Readonly<Record<CrashEffect, Consequences>> = {
  append: {
    before: "reads the log and decides the same again",
    during: "finds the events in the log, all or none, and goes on from there",
    after: "finds the events in the log and goes on from there",
  },
  "call-model": {
    before: "counts a failed attempt and calls again",
    during: "counts a failed attempt and calls again, whole",
    after: "counts a failed attempt and calls again: the answer is lost",
  },
  "decide-calls": {
    before: "decides again",
    during: "finds decision, audit row and event together, or none of them and decides again",
    after: "finds decision, audit row and event, and runs what is allowed",
  },
  "run-tool-safe": {
    before: "runs the call again",
    during: "runs the call again",
    after: "runs the call again: the same write twice is one write",
  },
  "run-tool-bash": {
    before: "runs the command where its sandbox never saw it",
    during: "joins the command where it still runs, and takes its output from the first byte",
    after: "takes output and exit from the sandbox, which remembers them",
  },
  "run-tool-never": {
    before: "tells the model that the outcome is unknown",
    during: "tells the model that the outcome is unknown",
    after: "tells the model that the outcome is unknown",
  },
  compact: {
    before: "counts a failed attempt and asks for the summary again",
    during: "counts a failed attempt and asks for the summary again",
    after: "counts a failed attempt and asks for the summary again: the transcript is whole until it is stored",
  },
  "start-thread": {
    before: "starts the thread",
    during: "finds thread, its first message and the record of it together, or none of them and starts the thread",
    after: "finds the thread at work and waits for it",
  },
  "rest-thread": {
    before: "lets the thread rest and gives its answer to the session that waits for it",
    during: "finds rest and answer in both logs, or in neither and writes them",
    after: "finds the answer given, once",
  },
  "start-wait": {
    before: "starts the wait, which then ends later by the time that was lost",
    during: "finds the wait and its alarm together, or neither and starts it",
    after: "finds the wait, whose alarm is stored",
  },
  "end-wait": {
    before: "finds that the wait is over, and ends it",
    during: "finds the wait ended, or ends it",
    after: "finds the wait ended",
  },
  capture: {
    before: "joins the ended command and captures",
    during: "captures again: what is committed already is recognised by its hash",
    after: "captures again, and finds nothing changed",
  },
  snapshot: {
    before: "goes on; the next command that may change the workspace is followed by a snapshot",
    during: "goes on; the unfinished blob has no name, and the previous snapshot stays the last",
    after: "goes on; the blob is stored, and the previous snapshot stays the last",
  },
};

const moments: readonly CrashMoment[] = ["before", "during", "after"];

export const crashTable: readonly CrashRow[] = (Object.keys(consequences) as CrashEffect[]).flatMap((effect) =>
  moments.map((moment) => ({ id: `${effect}.${moment}`, effect, moment, next: consequences[effect][moment] })),
);
