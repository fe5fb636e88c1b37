/** What is done to workers, database and sandboxes while sessions run: by chance, and at every row of the crash table. @module */
import { setTimeout as sleep } from "node:timers/promises";
import type { CrashEffect, CrashRow } from "@exoloop/server/loop/crash-table";
import { withDatabase } from "./collect.ts";
import { type Blow, countRows, killsOf } from "./journal.ts";
import type { Pool, Worker } from "./pool.ts";
import type { Random } from "@exoloop/sandbox/testing/random";
import { killSandbox } from "./sandboxes.ts";
import { workerTimeoutMs } from "./settings.ts";
import type { World } from "./world.ts";

export interface ChaosOptions {
  readonly world: World;
  readonly pool: Pool;
  readonly random: Random;
  readonly rows: readonly CrashRow[];
  readonly kills: number;
  readonly stops: number;
  /** Grows here, and by the pool's deaths. */
  readonly blows: Blow[];
  readonly progress: (text: string) => void;
}

/** Milliseconds after an effect has begun, at most: about as long as it takes. */
const longestDelay: Readonly<Partial<Record<CrashEffect, number>>> = {
  append: 3,
  "call-model": 100,
  "decide-calls": 3,
  "run-tool-safe": 4,
  "run-tool-bash": 2_500,
  "run-tool-never": 60,
  compact: 60,
  "start-thread": 4,
  "rest-thread": 4,
  "start-wait": 4,
  "end-wait": 4,
  capture: 12,
  snapshot: 12,
};
/** Passed many times a second: which passage it is, is chance. */
const frequent: ReadonlySet<CrashEffect> = new Set(["append", "call-model", "decide-calls", "run-tool-never"]);
/** Without a result after this many milliseconds for each kill, something is wrong, and the figures say what. */
const patiencePerKillMs = 6_000;
/** Kills with nothing else before and after them: how long a session stands still is told by these. */
const loneKills = 12;
const calmBeforeMs = 6_200;
const calmAfterMs = 5_200;
const backToWorkMs = 15_000;

export async function runChaos(options: ChaosOptions): Promise<void> {
  const { random, blows, rows, kills, stops, pool } = options;
  /** Workers that are stopped, or have to show that they work again. */
  const spared = new Set<number>();
  const armed = new Map<number, Armed>();
  const zombies: Promise<void>[] = [];
  const deadline = Date.now() + kills * patiencePerKillMs + 30_000;
  let stopped = 0;
  let alone = 0;
  const isDone = () =>
    killsOf(blows).length >= kills &&
    stopped >= stops &&
    (kills < rows.length || alone >= loneKills) &&
    (kills < rows.length || [...countRows(rows, blows).values()].every((count) => count > 0));
  while (!isDone() && Date.now() < deadline) {
    await sleep(random.between(400, 1_600));
    const targets = pool.workers().filter((worker) => worker.state === "running" && !spared.has(worker.pid));
    const unarmed = targets.filter((worker) => !isArmed(armed, worker.pid));
    const quiet = spared.size === 0 && targets.length > 1 && unarmed.length === targets.length;
    if (quiet && alone < loneKills && kills >= rows.length && random.chance(0.5)) {
      await sleep(calmBeforeMs);
      pool.kill(random.pick(targets).pid);
      await sleep(calmAfterMs);
      alone += 1;
      continue;
    }
    const chance = random.next();
    if (chance < 0.05) strikePostmaster(options);
    else if (chance < 0.17) await strikeSandbox(options);
    else if (unarmed.length === 0) continue;
    else if (chance < 0.4 && stopped + spared.size < stops && spared.size === 0) {
      const target = random.pick(unarmed);
      spared.add(target.pid);
      zombies.push(
        stopWorker(options, target).then((worked) => {
          spared.delete(target.pid);
          if (worked !== null) stopped += 1;
        }),
      );
    } else if (chance < 0.55) pool.kill(random.pick(unarmed).pid);
    else armWorker(options, random.pick(unarmed), armed);
  }
  await Promise.all(zombies);
}

function strikePostmaster({ world, blows, progress }: ChaosOptions): void {
  try {
    const at = Date.now();
    const pid = world.killPostmaster();
    blows.push({ type: "postmaster", at, pid });
    progress(`  postmaster ${pid} killed`);
  } catch {
    // It is dead already, and not yet started again.
  }
}

/** One that runs a command, if there is one. */
async function strikeSandbox({ world, random, blows, progress }: ChaosOptions): Promise<void> {
  const candidates = await withDatabase(world.databaseUrl(), async (database) => {
    return database
      .selectFrom("sandboxes")
      .innerJoin("sessions", "sessions.id", "sandboxes.session_id")
      .select(["sandboxes.sandbox_id", "sandboxes.session_id", "sandboxes.state"])
      .where("sandboxes.sandbox_id", "is not", null)
      .where("sessions.archived_at", "is", null)
      .execute();
  }).catch(() => []);
  const awake = candidates.filter((candidate) => candidate.state === "awake");
  const from = awake.length > 0 && random.chance(0.7) ? awake : candidates;
  if (from.length === 0) return;
  const { sandbox_id: sandboxId, session_id: sessionId } = random.pick(from);
  const at = Date.now();
  if (sandboxId === null || !killSandbox(world.sandboxesDirectory, sandboxId)) return;
  blows.push({ type: "sandbox", at, sandboxId, sessionId });
  progress(`  sandbox ${sandboxId} of ${sessionId} killed at ${new Date(at).toISOString()}`);
}

interface Armed {
  readonly row: string;
  readonly at: number;
}

/** What a worker has not met by then it does not meet soon: it gets another row. */
const armedPatienceMs = 8_000;

function isArmed(armed: ReadonlyMap<number, Armed>, pid: number): boolean {
  return Date.now() - (armed.get(pid)?.at ?? 0) < armedPatienceMs;
}

/** At the row that was met least so far, and that no other worker is about to meet. */
function armWorker({ pool, random, rows, blows }: ChaosOptions, worker: Worker, armed: Map<number, Armed>): void {
  const counts = countRows(rows, blows);
  const living = new Set(pool.workers().map((other) => other.pid));
  for (const pid of armed.keys()) if (!living.has(pid) || pid === worker.pid) armed.delete(pid);
  const pending = new Set([...armed.values()].map((entry) => entry.row));
  const weight = ({ id }: CrashRow) => (counts.get(id) ?? 0) + (pending.has(id) ? 1 : 0);
  const least = Math.min(...rows.map(weight));
  const row = random.pick(rows.filter((other) => weight(other) === least));
  armed.set(worker.pid, { row: row.id, at: Date.now() });
  const delayMs = random.between(0, longestDelay[row.effect] ?? 3);
  const passage = frequent.has(row.effect) ? random.between(1, 4) : 1;
  pool.arm(worker.pid, { row: row.id, passage, delayMs });
}

/** Past the detector's timeout, so that its sessions are driven by others when it goes on. Null: killed meanwhile. */
async function stopWorker(options: ChaosOptions, { pid }: Worker): Promise<boolean | null> {
  const { pool, random, blows, progress } = options;
  const find = () => pool.workers().find((worker) => worker.pid === pid);
  const at = Date.now();
  pool.stop(pid);
  await sleep(workerTimeoutMs + 1_000 + random.between(500, 2_000));
  const claims = find()?.claims;
  pool.proceed(pid);
  const until = Date.now();
  progress(`  worker ${pid} was stopped for ${until - at} ms`);
  let worked: boolean | null = false;
  while (worked === false && Date.now() < until + backToWorkMs) {
    await sleep(100);
    const worker = find();
    if (worker === undefined || claims === undefined) worked = null;
    else if (worker.claims > claims) worked = true;
  }
  blows.push({ type: "stop", at, pid, until, worked });
  return worked;
}
