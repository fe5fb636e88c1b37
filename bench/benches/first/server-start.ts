/** From the launcher's call to a server that answers, its database running already. @module */
import { startExoloop } from "@exoloop/server/launch";
import { createLogger } from "@exoloop/server/telemetry/logger";

/** Milliseconds: sandbox host with its self-test, server process, migrations checked, port open. */
export async function measureServerStart(home: string, rounds: number): Promise<number[]> {
  const samples: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const startedAt = performance.now();
    const exoloop = await startExoloop({
      environment: { PATH: process.env["PATH"], EXOLOOP_LOG_LEVEL: "error" },
      home,
      port: 0,
      fleeting: true,
      log: createLogger("error"),
    });
    // The first round makes the home and its database: it is the set-up, not a sample.
    if (round > 0) samples.push(performance.now() - startedAt);
    await exoloop.stop();
  }
  return samples;
}
