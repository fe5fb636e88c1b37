/** The embedded Postgres: the first start makes its data directory, a warm one finds it. @module */
import { join } from "node:path";
import { startEmbeddedPostgres, stopEmbeddedPostgres } from "@exoloop/server/db/embedded/supervisor";
import { createLogger } from "@exoloop/server/telemetry/logger";

const log = createLogger("error");

export interface PostgresStarts {
  /** Milliseconds until a query is answered. */
  readonly first: readonly number[];
  readonly warm: readonly number[];
}

/** For each round a directory of its own: a first start, a shutdown, a warm start, a shutdown. */
export async function measurePostgresStarts(directory: string, rounds: number): Promise<PostgresStarts> {
  const first: number[] = [];
  const warm: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const home = join(directory, `postgres-${round}`);
    try {
      first.push(await startOnce(home, "initialised"));
      await stopEmbeddedPostgres({ directory: home });
      warm.push(await startOnce(home, "started"));
    } finally {
      await stopEmbeddedPostgres({ directory: home });
    }
  }
  return { first, warm };
}

async function startOnce(directory: string, expected: "initialised" | "started"): Promise<number> {
  const startedAt = performance.now();
  const { how } = await startEmbeddedPostgres({ directory, log });
  const milliseconds = performance.now() - startedAt;
  if (how !== expected) throw new Error(`the embedded Postgres was ${how}, not ${expected}: this is no sample`);
  return milliseconds;
}
