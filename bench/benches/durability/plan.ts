/** What a session is asked to do, and what must come out of it: made by chance, known beforehand. Pure. @module */
import type { Step } from "@exoloop/server/models/script";
import { countingToolName } from "./counting-tool.ts";
import type { Random } from "@exoloop/sandbox/testing/random";

export interface PlannedCall {
  readonly name: string;
  /** Distinct within a session. */
  readonly input: Readonly<Record<string, string | number>>;
  /** What the result says, blocks like `<files_sync>` aside: all of it, or a part. */
  readonly expected: { readonly text: string; readonly whole: boolean; readonly isError: boolean };
  /** It reads what a lost sandbox may have lost. */
  readonly needsWorkspace: boolean;
  /** A line that the command leaves in a stored file, by way of capture; null for other calls. */
  readonly captured: string | null;
  /** What the agent that is given work by this call is to do; null for other calls. */
  readonly delegated: PlannedRound | null;
}

interface PlannedRound {
  /** What the model says last. */
  readonly end: string;
  readonly steps: readonly Step[];
  readonly calls: readonly PlannedCall[];
}

/** The agent that is given work. */
export const helperName = "helper";

export interface SessionPlan {
  readonly name: string;
  /** Where its commands leave lines, as an absolute path in the sandbox. */
  readonly journal: string;
  readonly rounds: readonly PlannedRound[];
}

export function planSession(name: string, random: Random): SessionPlan {
  const journal = `/memory/org/journal-${name}.md`;
  const rounds = Array.from({ length: random.between(2, 3) }, (_, index) =>
    planRound(`${name}-${index}`, { journal, random, length: random.between(5, 8), delegates: true }),
  );
  return { name, journal, rounds };
}

interface Course {
  /** Null: commands capture nothing. */
  readonly journal: string | null;
  readonly random: Random;
  /** Steps. */
  readonly length: number;
  /** Whether other agents are given work. */
  readonly delegates: boolean;
}

function planRound(name: string, course: Course): PlannedRound {
  const { random } = course;
  const calls: PlannedCall[] = [];
  const steps = Array.from({ length: course.length }, (_, index): Step => {
    const token = `${name}-${index}`;
    const planned = planCalls(token, calls, course);
    calls.push(...planned);
    return {
      text: `step ${token} `.repeat(random.between(1, 8)),
      toolCalls: planned.map((call) => ({ name: call.name, input: { ...call.input } })),
      delayMs: random.between(30, 300),
      chunkDelayMs: 5,
      // The model takes no more until the conversation has been summed up.
      ...(index > 1 && random.chance(0.08) ? { fault: { kind: "context_overflow" as const } } : {}),
    };
  });
  const end = `The end of ${name}.`;
  return { end, steps: [...steps, { text: end, delayMs: random.between(10, 100) }], calls };
}

function planCalls(token: string, earlier: readonly PlannedCall[], course: Course): readonly PlannedCall[] {
  const { random, journal, delegates } = course;
  const kind = random.next();
  if (kind < 0.25) return [count(token, random)];
  if (kind < 0.52) return [command(token, journal, random)];
  if (kind < 0.68) return [write(token, random.chance(0.5) ? "/memory/org" : "/workspace")];
  if (kind < 0.74) return [count(`${token}-a`, random), count(`${token}-b`, random)];
  if (kind < 0.82) return [waitFor(random)];
  if (kind < 0.9 && delegates) return delegate(token, random);
  return readings(token, earlier, random);
}

/** A little while, distinct from every other. */
function waitFor(random: Random): PlannedCall {
  return planned("wait_for", { seconds: random.between(100_000, 2_000_000) / 1_000_000 }, "is over");
}

/** One agent, or two beside each other, each with steps of its own. */
function delegate(token: string, random: Random): readonly PlannedCall[] {
  return ["x", "y"].slice(0, random.between(1, 2)).map((letter) => {
    const name = `${token}-${letter}`;
    const work = planRound(name, { journal: null, random, length: random.between(1, 3), delegates: false });
    const task = [`Work ${name}.`, "```script", JSON.stringify(work.steps), "```"].join("\n");
    return planned("delegate", { agent: helperName, task }, work.end, { delegated: work });
  });
}

function planned(
  name: string,
  input: PlannedCall["input"],
  text: string,
  more: Partial<PlannedCall> & { readonly whole?: boolean; readonly isError?: boolean } = {},
): PlannedCall {
  const { whole = false, isError = false, needsWorkspace = false, captured = null, delegated = null } = more;
  return { name, input, expected: { text, whole, isError }, needsWorkspace, captured, delegated };
}

function count(token: string, random: Random): PlannedCall {
  const input = { token, linger_ms: random.between(5, 150) };
  return planned(countingToolName, input, `counted ${token}`, { whole: true });
}

/** Quick, or seconds long; some leave a line in a stored file, some change the workspace, some fail. */
function command(token: string, journal: string | null, random: Random): PlannedCall {
  const captured = journal !== null && random.chance(0.5) ? token : null;
  const code = random.chance(0.25) ? random.between(1, 9) : 0;
  const seconds = random.chance(0.4) ? random.between(5, 40) / 10 : 0;
  const parts = [
    `echo begin ${token}`,
    ...(captured === null ? [] : [`echo ${token} >> ${journal}`]),
    ...(random.chance(0.5) ? [`head -c ${random.between(1, 300)}000 /dev/urandom > noise`] : []),
    ...(seconds === 0 ? [] : [`sleep ${seconds}`]),
    `echo end ${token}`,
    `exit ${code}`,
  ];
  const text = [`begin ${token}`, `end ${token}`, ...(code === 0 ? [] : [`[exit ${code}]`])].join("\n");
  return planned("bash", { command: parts.join("; ") }, text, { whole: true, isError: code !== 0, captured });
}

function write(token: string, directory: string): PlannedCall {
  const file_path = `${directory}/note-${token}.md`;
  return planned("write", { file_path, content: `note ${token}\n` }, file_path);
}

/** Of what was written before; of nothing where nothing was. They run beside each other. */
function readings(token: string, earlier: readonly PlannedCall[], random: Random): readonly PlannedCall[] {
  const written = earlier.filter((call) => call.name === "write").map((call) => String(call.input["file_path"]));
  if (written.length === 0) return [planned("glob", { pattern: `no-${token}*`, path: "/memory/org" }, "no ")];
  const path = random.pick(written);
  const note = /note-(.*)\.md$/.exec(path)?.[1] ?? "";
  const needsWorkspace = path.startsWith("/workspace");
  const directory = needsWorkspace ? "/workspace" : "/memory/org";
  return [
    planned("read", { file_path: path, limit: random.between(1, 1e6) }, `note ${note}`, { needsWorkspace }),
    planned("grep", { pattern: `note ${note}`, path: directory, head_limit: random.between(50, 2_000) }, path, {
      needsWorkspace,
    }),
  ];
}

/** The same text for the same call, in whatever order its fields are stored. */
export function callKey(name: string, input: Readonly<Record<string, unknown>>): string {
  const sorted = Object.entries(input).sort(([left], [right]) => (left < right ? -1 : 1));
  return `${name} ${JSON.stringify(sorted)}`;
}
