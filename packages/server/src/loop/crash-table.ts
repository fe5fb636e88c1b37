/**
 * The crash table: for every effect of the loop, what the next driver does when this one was lost before, during or
 * after it. The gated tests stop a driver at every row that is theirs; `bench durability` kills workers at every row
 * that is its own, and counts. A row that neither met fails the one that should have.
 * @module
 */

/** After: the effect has happened, and its result is not in the log. */
export type CrashMoment = "before" | "during" | "after";

/** `gated`: loop/crash/traces.crash.test.ts stops a driver there. `bench`: `npm run bench -- durability` kills there. */
export type CrashProof = "gated" | "bench";

interface Consequences {
  readonly proof: readonly CrashProof[];
  /** Its transaction asks for no turn, which is where the gate would stop it: only a kill meets it half-way. */
  readonly indivisible?: true;
  readonly before: string;
  /** Null where the effect is one statement, or only looks: it has happened or it has not. */
  readonly during: string | null;
  readonly after: string;
}

const effects = {
  append: {
    proof: ["gated", "bench"],
    before: "reads the log and decides the same again",
    during: "finds the events in the log, all or none, and goes on from there",
    after: "finds the events in the log and goes on from there",
  },
  "call-model": {
    proof: ["gated", "bench"],
    before: "counts a failed attempt and calls again",
    during: "counts a failed attempt and calls again, whole",
    after: "counts a failed attempt and calls again: the answer is lost",
  },
  compact: {
    proof: ["gated", "bench"],
    before: "counts a failed attempt and asks for the summary again",
    during: "counts a failed attempt and asks for the summary again",
    after: "counts a failed attempt and asks again: the transcript stays whole until a summary is stored",
  },
  "evaluate-outcome": {
    proof: ["gated"],
    before: "counts a failed attempt and judges again, under the same start of the evaluation",
    during: "counts a failed attempt and judges again, under the same start of the evaluation",
    after: "counts a failed attempt and judges again: the judgement is lost",
  },
  "decide-calls": {
    proof: ["gated", "bench"],
    before: "decides again",
    during: "finds decision, audit row and event together, or none of them and decides again",
    after: "finds decision, audit row and event, and runs what is allowed",
  },
  "run-tool-safe": {
    proof: ["gated", "bench"],
    before: "runs the call again",
    during: "runs the call again",
    after: "runs the call again: the same write twice is one write",
  },
  "run-tool-bash": {
    proof: ["gated", "bench"],
    before: "runs the command where its sandbox never saw it",
    during: "joins the command where it still runs, and takes its output from the first byte",
    after: "takes output and exit from the sandbox, which remembers them",
  },
  "run-tool-never": {
    proof: ["gated", "bench"],
    before: "tells the model that the outcome is unknown",
    during: "tells the model that the outcome is unknown",
    after: "tells the model that the outcome is unknown",
  },
  "settle-tools": {
    proof: ["gated"],
    before: "settles the calls again, with the same results",
    during: null,
    after: "finds the results in the log, and goes on",
  },
  "start-thread": {
    proof: ["gated", "bench"],
    before: "gives the work again: no thread was made",
    during: "finds neither record nor thread, and gives the work",
    after: "finds the record; the thread has its task and its wake",
  },
  "rest-thread": {
    proof: ["gated", "bench"],
    before: "lets the thread rest and gives its answer to the session that waits for it",
    during: "finds rest and answer in both logs, or in neither and writes them",
    after: "finds the answer given, once",
  },
  "start-wait": {
    proof: ["gated", "bench"],
    before: "begins the wait again, from the present",
    during: "finds neither record nor alarm, and begins the wait",
    after: "finds the record; the alarm, or whoever brings what is waited for, wakes the session",
  },
  "check-wait": {
    proof: ["gated"],
    before: "looks again",
    during: null,
    after: "looks again: looking changes nothing",
  },
  "end-wait": {
    proof: ["gated", "bench"],
    indivisible: true,
    before: "looks again, and ends the wait",
    during: "finds the wait ended, or ends it",
    after: "finds the result in the log, and goes on",
  },
  "interrupt-threads": {
    proof: ["gated"],
    before: "interrupts the threads, and then takes the interrupt in",
    during: null,
    after: "interrupts them again: one source interrupts a thread once",
  },
  "wait-until": {
    proof: ["gated"],
    before: "reschedules again",
    during: "finds neither status nor alarm, and reschedules",
    after: "finds status and alarm; comes early, and sets another alarm",
  },
  park: {
    proof: ["gated"],
    before: "parks again",
    during: null,
    after: "finds the status, and rests",
  },
  rest: {
    proof: ["gated"],
    before: "rests again, unless input has come",
    during: "finds neither the status nor the parent's result, and rests",
    after: "finds the status, and does nothing",
  },
  "continue-later": {
    proof: ["gated"],
    before: "goes on itself, with a fresh count of steps",
    during: "finds no wake, and goes on itself",
    after: "goes on; the second wake finds nothing to do",
  },
  capture: {
    proof: ["bench"],
    before: "joins the ended command and captures",
    during: "captures again: what is committed already is recognised by its hash",
    after: "captures again, and finds nothing changed",
  },
  snapshot: {
    proof: ["bench"],
    before: "goes on; the next command that may change the workspace is followed by a snapshot",
    during: "goes on; the unfinished blob has no name, and the previous snapshot stays the last",
    after: "goes on; the blob is stored, and the previous snapshot stays the last",
  },
} as const satisfies Readonly<Record<string, Consequences>>;

export type CrashEffect = keyof typeof effects;

export interface CrashRow {
  /** `effect.moment` */
  readonly id: string;
  readonly effect: CrashEffect;
  readonly moment: CrashMoment;
  /** What the next driver does. */
  readonly next: string;
  readonly proof: readonly CrashProof[];
}

const moments: readonly CrashMoment[] = ["before", "during", "after"];

export const crashTable: readonly CrashRow[] = (Object.keys(effects) as CrashEffect[]).flatMap((effect) => {
  const consequences: Consequences = effects[effect];
  return moments.flatMap((moment) => {
    const next = consequences[moment];
    const half = moment === "during" && consequences.indivisible === true;
    const proof = consequences.proof.filter((kind) => !half || kind !== "gated");
    return next === null ? [] : [{ id: `${effect}.${moment}`, effect, moment, next, proof }];
  });
});

/** The rows that `bench durability` kills at. */
export const benchRows: readonly CrashRow[] = crashTable.filter((row) => row.proof.includes("bench"));
