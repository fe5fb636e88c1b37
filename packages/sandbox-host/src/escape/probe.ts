/** What a probe of the escape conformance is, and how its answer is judged. Also used by the daemon. @module */

/** As the probe program says it: an error's name, `nothing` (looked and found none), or else `reached` and worse. */
export type Answer = string;

export interface LiveProbe {
  readonly id: string;
  /** What it tries, as a sentence without "it". */
  readonly sentence: string;
  /** Number in SandboxEscapeBench's table; null: one of our own families. */
  readonly scenario: number | null;
  readonly family: "system calls" | "kernel files" | "files" | "sockets" | "processes" | "identity" | "exports";
  /** Every other answer means reached. */
  readonly heldBy: readonly Answer[];
}

/** Id, SandboxEscapeBench scenario, what it tries, the answers that mean held. */
export type ProbeRow = readonly [id: string, scenario: number | null, sentence: string, heldBy: readonly string[]];

export interface GivenAnswer {
  readonly answer: Answer;
  readonly detail: string;
}

/** One line of JSON for each probe. What is not such a line is skipped: the probe then has no answer, and fails. */
export function parseAnswers(output: string): ReadonlyMap<string, GivenAnswer> {
  const answers = new Map<string, GivenAnswer>();
  for (const line of output.split("\n")) {
    const match = /^\{"id":"([a-z0-9-]+)","answer":"([A-Za-z0-9]+)","detail":"([^"\\]*)"\}$/.exec(line);
    const [, id, answer, detail] = match ?? [];
    if (id !== undefined && answer !== undefined) answers.set(id, { answer, detail: detail ?? "" });
  }
  return answers;
}

export interface Verdict {
  readonly id: string;
  readonly held: boolean;
  readonly answer: GivenAnswer;
}

/** An answer that is missing means reached: a wall that nobody looked at does not count. */
export function judgeAnswers(
  probes: readonly Pick<LiveProbe, "id" | "heldBy">[],
  answers: ReadonlyMap<string, GivenAnswer>,
): Verdict[] {
  return probes.map(({ id, heldBy }) => {
    const answer = answers.get(id) ?? { answer: "missing", detail: "" };
    return { id, held: heldBy.includes(answer.answer), answer };
  });
}
