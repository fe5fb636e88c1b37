/** The figures of the foundation: what a person waits for, and what each step costs. @module */
import { join } from "node:path";
import { stopEmbeddedPostgres } from "@exoloop/server/db/embedded/supervisor";
import type { Bench, BenchContext, Row } from "../bench.ts";
import { toRow } from "../statistics.ts";
import { measureDemo } from "./first/demo.ts";
import { measurePostgresStarts } from "./first/postgres.ts";
import { measureResume } from "./first/resume.ts";
import { measureServerStart } from "./first/server-start.ts";
import { measureStepOverhead } from "./first/step-overhead.ts";

async function run({ directory, progress }: BenchContext): Promise<Row[]> {
  progress("embedded Postgres: 5 first and warm starts");
  const starts = await measurePostgresStarts(directory, 5);
  progress("resume: 200 times");
  const resumes = await measureResume(join(directory, "sandbox-host"), 200);
  progress("step overhead: 200 steps");
  const steps = await measureStepOverhead(join(directory, "steps"), 100);
  progress("server start: 5 times");
  const serverStarts = await withHome(join(directory, "server"), (home) => measureServerStart(home, 5));
  progress("demo: once");
  const demo = await withHome(join(directory, "demo"), measureDemo);
  return [
    toRow([demo], { id: "demo_seconds", unit: "s", goal: 30 }),
    toRow(resumes, { id: "resume", unit: "ms", goal: 5 }),
    toRow(steps, { id: "step_overhead", unit: "ms", goal: 5 }),
    toRow(starts.first, { id: "postgres_first_start", unit: "ms", goal: 1_000 }),
    toRow(starts.warm, { id: "postgres_warm_start", unit: "ms", goal: 300 }),
    toRow(serverStarts, { id: "server_start", unit: "ms", goal: 3_000 }),
  ];
}

/** A server leaves its Postgres running for the next one; a home that is about to be removed must not. */
async function withHome<Result>(home: string, work: (home: string) => Promise<Result>): Promise<Result> {
  try {
    return await work(home);
  } finally {
    await stopEmbeddedPostgres({ directory: join(home, "postgres") });
  }
}

export const bench: Bench = {
  name: "first",
  description: "the demo, resuming a sandbox, one step, the starts of Postgres and server",
  run,
};
