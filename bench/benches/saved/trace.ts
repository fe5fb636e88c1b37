/**
 * A day of mixed sessions: `trace-day.jsonl` beside this file, made by `node trace.ts --write` from the published
 * distributions with a fixed seed, and read by the bench. Its test makes it anew and compares.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PublishedDistribution, fitMaximum, published, quantile } from "./distributions.ts";

/** What happens between two waits for a person, all in milliseconds. */
export interface Request {
  /** Since the end of the previous answer, or since midnight for a session's first. */
  readonly waitMs: number;
  /** Thinking, then its commands one after another; the last answer has none. */
  readonly steps: readonly { readonly thinkMs: number; readonly commandMs: readonly number[] }[];
}

export interface Trace {
  readonly source: string;
  readonly seed: number;
  readonly sessions: readonly (readonly Request[])[];
}

export const traceFile = join(import.meta.dirname, "trace-day.jsonl");
const source =
  "Drawn with the seed below from the quantiles published in TraceLab, arXiv 2606.30560 (tables session_timing_distribution and session_internal_counts), as distributions.ts says; it is nobody's recorded session.";
const seed = 20_261_126;
const sessionCount = 200;
const dayMs = 24 * 3600 * 1000;

/** xorshift32 (Marsaglia 2003): the same draws on every machine. */
function createRandom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

function createDraw(random: () => number): (distribution: PublishedDistribution) => number {
  const maxima = new Map<PublishedDistribution, number>();
  return (distribution) => {
    const maximum = maxima.get(distribution) ?? fitMaximum(distribution);
    maxima.set(distribution, maximum);
    return quantile(distribution, maximum, random());
  };
}

/** Sessions begin at any time of the day and are cut at midnight. */
export function makeTrace(): Trace {
  const random = createRandom(seed);
  const draw = createDraw(random);
  const milliseconds = (distribution: PublishedDistribution): number => Math.round(1000 * draw(distribution));
  const session = (): Request[] => {
    const requests: Request[] = [];
    let now = Math.round(random() * dayMs);
    const count = Math.round(draw(published.requestsPerSession));
    for (let index = 0; index < count && now < dayMs; index += 1) {
      const waitMs = index === 0 ? now : milliseconds(published.person);
      if (index > 0) now += waitMs;
      const steps: { thinkMs: number; commandMs: number[] }[] = [];
      const withCommands = Math.round(draw(published.stepsPerRequest));
      for (let step = 0; step <= withCommands && now < dayMs; step += 1) {
        const commands = step === withCommands ? 0 : Math.round(draw(published.commandsPerStep));
        const thinkMs = milliseconds(published.thinking);
        const commandMs = Array.from({ length: commands }, () => milliseconds(published.command));
        now += thinkMs + commandMs.reduce((sum, part) => sum + part, 0);
        steps.push({ thinkMs, commandMs });
      }
      if (steps.length > 0) requests.push({ waitMs, steps });
    }
    return requests;
  };
  return { source, seed, sessions: Array.from({ length: sessionCount }, session) };
}

/** A line that says what it is, then one session a line: [[wait, [[think, command …] …]] …]. */
export function formatTrace({ source: from, seed: drawn, sessions }: Trace): string {
  const lines = sessions.map((requests) =>
    JSON.stringify(
      requests.map(({ waitMs, steps }) => [waitMs, steps.map(({ thinkMs, commandMs }) => [thinkMs, ...commandMs])]),
    ),
  );
  return `${[JSON.stringify({ source: from, seed: drawn }), ...lines].join("\n")}\n`;
}

type StoredRequest = readonly [number, readonly (readonly number[])[]];

export function readTrace(text: string = readFileSync(traceFile, "utf8")): Trace {
  const [head = "", ...lines] = text.trimEnd().split("\n");
  const { source: from, seed: drawn } = JSON.parse(head) as { source: string; seed: number };
  return {
    source: from,
    seed: drawn,
    sessions: lines.map((line) =>
      (JSON.parse(line) as readonly StoredRequest[]).map(([waitMs, steps]) => ({
        waitMs,
        steps: steps.map(([thinkMs = 0, ...commandMs]) => ({ thinkMs, commandMs })),
      })),
    ),
  };
}

if (import.meta.main && process.argv[2] === "--write") writeFileSync(traceFile, formatTrace(makeTrace()));
