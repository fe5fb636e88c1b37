/** How long a sandbox is awake over a day of sessions when it sleeps between commands, and when it does not. @module */
import { join } from "node:path";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import type { Bench, BenchContext, Row } from "../bench.ts";
import { percentile, toRow } from "../statistics.ts";
import { type ReplayedCommand, measureOverhead, replay } from "./saved/replay.ts";
import { type Awake, simulate } from "./saved/simulate.ts";
import { readTrace } from "./saved/trace.ts";

/** Of the sandbox-seconds of an agent that lives in its sandbox. */
const goalShare = 0.25;
const sensitivities = [2, 10, 60] as const;

interface Measured {
  readonly overheads: readonly number[];
  readonly replayed: readonly ReplayedCommand[];
}

async function measure(directory: string, rounds: number, speed: number): Promise<Measured> {
  const host = await startSandboxHost({ directory, mode: "auto", endsWithParent: true });
  try {
    const provider = await createLocalProvider({ socketPath: host.socketPath });
    try {
      const overheads = await measureOverhead(provider, rounds);
      return { overheads, replayed: await replay(provider, readTrace(), rounds, speed) };
    } finally {
      await provider.close();
    }
  } finally {
    await host.stop();
  }
}

function awakeRows({ outsideMs, allSessionMs, idleStopMs, perRequestMs }: Awake): Row[] {
  const hours = (milliseconds: number): number => milliseconds / 3_600_000;
  return [
    toRow([outsideMs / allSessionMs], { id: "awake_share", unit: "", goal: goalShare }),
    toRow([allSessionMs / outsideMs], { id: "ratio", unit: "x", goal: 1 / goalShare, higherIsBetter: true }),
    toRow([idleStopMs / outsideMs], { id: "ratio_idle_stop", unit: "x", goal: null }),
    toRow([perRequestMs / outsideMs], { id: "ratio_while_answering", unit: "x", goal: null }),
    toRow([hours(outsideMs)], { id: "awake_hours", unit: "h", goal: null, peer: [hours(allSessionMs)] }),
  ];
}

async function run({ directory, progress, option }: BenchContext): Promise<Row[]> {
  const trace = readTrace();
  const speed = option("speed");
  progress(`${trace.sessions.length} sessions. ${trace.source}`);
  progress(`${option("rounds")} commands for real, ${speed} times faster`);
  const { overheads, replayed } = await measure(join(directory, "sandbox-host"), option("rounds"), speed);
  const around = { aroundCommandMs: percentile(overheads, 0.5) };
  const predicted = replayed.reduce((sum, { commandMs }) => sum + commandMs + around.aroundCommandMs, 0);
  const observed = replayed.reduce((sum, { awakeMs }) => sum + awakeMs, 0);
  return [
    ...awakeRows(simulate(trace, around)),
    ...sensitivities.map((seconds) => {
      const { outsideMs, allSessionMs, perRequestMs } = simulate(trace, around, seconds * 1000);
      return toRow([outsideMs / allSessionMs], {
        id: `awake_share_thinking_${seconds}s`,
        unit: "",
        goal: null,
        peer: [perRequestMs / allSessionMs],
      });
    }),
    toRow(overheads, { id: "around_command", unit: "ms", goal: null }),
    toRow([observed / predicted], { id: "replay_agreement", unit: "x", goal: 1.25 }),
  ];
}

export const bench: Bench = {
  name: "saved",
  description: "sandbox-awake time of a day of sessions, asleep between commands and awake all session long",
  options: [
    { name: "rounds", description: "how many commands are run for real", default: 400 },
    { name: "speed", description: "how many times faster than the trace they are", default: 100 },
  ],
  run,
};
