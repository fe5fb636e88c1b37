/**
 * Sessions under `kill -9`: of workers, of the database, of sandboxes, at random and at every row of the crash table.
 * What is left is judged by an oracle that knows what was asked for and what was done, and nothing of the loop.
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { benchRows } from "@exoloop/server/loop/crash-table";
import type { Bench, BenchContext, Row } from "../bench.ts";
import { toRow } from "../statistics.ts";
import { type Api, createApi } from "./durability/api.ts";
import { runChaos } from "./durability/chaos.ts";
import { collectEvidence, withDatabase } from "./durability/collect.ts";
import { type Conversation, converse } from "./durability/conversation.ts";
import type { Evidence, LoggedEvent } from "./durability/evidence.ts";
import { type InterruptSamples, measureInterrupts } from "./durability/interrupt.ts";
import { type Blow, countRows, killsOf } from "./durability/journal.ts";
import { judge } from "./durability/oracle.ts";
import { helperName, planSession } from "./durability/plan.ts";
import { startPool } from "./durability/pool.ts";
import { createRandom } from "@exoloop/sandbox/testing/random";
import { measureRecovery } from "./durability/recovery.ts";
import { listSandboxIds } from "./durability/sandboxes.ts";
import { brokenVariable, workerTimeoutMs } from "./durability/settings.ts";
import { startWorld } from "./durability/world.ts";

/** After the last kill, for what is still to be done. */
const endPatienceMs = 120_000;
/** Of each kind. */
const shownFindings = 10;

async function run(context: BenchContext): Promise<Row[]> {
  const { progress, option } = context;
  const seed = option("seed") === 0 ? Date.now() % 1_000_000_000 : option("seed");
  progress(`seed ${seed}`);
  const blows: Blow[] = [];
  let pool: Awaited<ReturnType<typeof startPool>> | undefined;
  const world = await startWorld(context.directory, () => pool?.killAll());
  const leave = async () => {
    await pool?.close();
    await world.stop();
  };
  // What was started outlives this process, and nobody else would end it.
  const onSignal = () => void leave().finally(() => process.exit(1));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, onSignal);
  try {
    const environment: Record<string, string> = {};
    const broken = process.env[brokenVariable];
    if (broken !== undefined) environment[brokenVariable] = broken;
    pool = await startPool(
      {
        world,
        environment,
        progress,
        onDeath(pid, row, at) {
          blows.push({ type: "worker", at, pid, row });
          progress(`  worker ${pid} killed${row === null ? "" : ` at ${row}`}`);
        },
      },
      2,
    );
    const api = createApi(pool, createRandom(seed + 1));
    const place = await createPlace(api);
    const kills = option("kills");
    const stops = Math.ceil(kills / 5);
    const startedAt = Date.now();
    const random = createRandom(seed + 2);
    const chaos = runChaos({ world, pool, random, rows: benchRows, kills, stops, blows, progress });
    const conversations = await keepTalking(api, place, { seed, lanes: option("sessions"), until: chaos });
    progress(`${Math.round((Date.now() - startedAt) / 1000)} s of kills and recovery`);
    const evidence = await withDatabase(world.databaseUrl(), (database) =>
      collectEvidence(database, world.shared, conversations, blows),
    );
    progress(`${listSandboxIds(world.sandboxesDirectory).length} sandboxes are left, and every session has ended`);
    progress("interrupts");
    const interrupts = await measureInterrupts({ api, world, ...place, rounds: option("interrupts") });
    return report(evidence, conversations, interrupts, context);
  } finally {
    const log = readLog(join(world.home, "workers.log"));
    if (option("log") > 0) progress(log.slice(-option("log")).join("\n"));
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, onSignal);
    await leave();
  }
}

interface Place {
  readonly agentId: string;
  readonly environmentId: string;
}

async function createPlace(api: Api): Promise<Place> {
  const tools = [{ type: "agent_toolset_20260401" }];
  const helper = (await api.post("/v1/agents", { name: helperName, model: "scripted", tools })) as { id: string };
  const multiagent = { type: "coordinator", agents: [helper.id] };
  const agent = (await api.post("/v1/agents", { name: "durable", model: "scripted", tools, multiagent })) as {
    id: string;
  };
  const environment = (await api.post("/v1/environments", { name: "durability" })) as { id: string };
  return { agentId: agent.id, environmentId: environment.id };
}

/** As many sessions at a time as there are lanes, one after the other, until `until` ends. */
async function keepTalking(
  api: Api,
  place: Place,
  options: {
    readonly seed: number;
    readonly lanes: number;
    readonly until: Promise<void>;
  },
): Promise<readonly Conversation[]> {
  const conversations: Conversation[] = [];
  const deadline = new AbortController();
  let number = 0;
  let over = false;
  const chaos = options.until.finally(() => {
    over = true;
    setTimeout(() => deadline.abort(), endPatienceMs).unref();
  });
  const lane = async () => {
    while (!over) {
      number += 1;
      const random = createRandom(options.seed + 1_000 * number);
      const plan = planSession(`s${number}`, random);
      conversations.push(await converse(plan, { api, ...place, random, deadline: deadline.signal }));
    }
  };
  await Promise.all([chaos, ...Array.from({ length: options.lanes }, lane)]);
  return conversations;
}

function report(
  evidence: Evidence,
  conversations: readonly Conversation[],
  interrupts: InterruptSamples,
  { progress, option }: BenchContext,
): Row[] {
  const { blows } = evidence;
  const judgement = judge(evidence);
  const rows = countRows(benchRows, blows);
  progress("kills by row of the crash table:");
  for (const [row, count] of rows) progress(`  ${row.padEnd(24)} ${count}`);
  const ofType = (type: Blow["type"]) => blows.filter((blow) => blow.type === type).length;
  const connections = conversations.reduce((sum, conversation) => sum + conversation.connections, 0);
  progress(
    `${conversations.length} sessions, ${judgement.events} events, ${judgement.calls} tool calls, ${connections} streams; ` +
      `${ofType("worker")} workers, ${ofType("postmaster")} postmasters, ${ofType("sandbox")} sandboxes killed`,
  );
  // The worst first, and none of them hidden behind many of another kind.
  const kinds = ["double", "lost", "stuck", "unjustified", "duplicate", "wrong"] as const;
  const shown = kinds.flatMap((kind) =>
    judgement.findings.filter((finding) => finding.kind === kind).slice(0, shownFindings),
  );
  for (const { kind, sessionId, text } of shown) progress(`${kind}: ${sessionId ?? ""} ${text}`);
  for (const { stuck, sessionId, log } of evidence.sessions)
    if (stuck !== null) progress([`${sessionId} ends with`, ...log.slice(-8).map(describeEvent)].join("\n  "));
  const kills = killsOf(blows).length;
  const unmet = kills < benchRows.length ? 0 : [...rows.values()].filter((count) => count === 0).length;
  const worked = blows.filter((blow) => blow.type === "stop" && blow.worked === true).length;
  const count = (id: string, value: number, goal: number, higherIsBetter = false) =>
    toRow([value], { id, unit: "", goal, higherIsBetter });
  const unknown = count("unknown_outcomes", judgement.unknown, judgement.exposed);
  const recoveries = measureRecovery(evidence);
  const recovery = (id: string, samples: readonly number[], goal: number | null): Row[] => {
    const late = samples.map((milliseconds) => milliseconds - workerTimeoutMs);
    return late.length === 0 ? [] : [toRow(late, { id, unit: "ms", goal })];
  };
  return [
    count("kills", kills, option("kills"), true),
    count("crash_rows_unmet", unmet, 0),
    count("zombies", worked, Math.ceil(option("kills") / 5), true),
    count("lost_events", judgement.count("lost"), 0),
    count("duplicate_events", judgement.count("duplicate"), 0),
    count("double_effects", judgement.count("double"), 0),
    count("wrong_results", judgement.count("wrong"), 0),
    count("stuck_sessions", judgement.count("stuck"), 0),
    { ...unknown, ok: unknown.ok && judgement.count("unjustified") === 0 },
    ...recovery("recovery", recoveries.alone, 1_000),
    ...recovery("recovery_among_others", recoveries.amongOthers, null),
    toRow(interrupts.plain, { id: "interrupt", unit: "ms", goal: 100 }),
    toRow(interrupts.trapped, { id: "interrupt_trapped", unit: "ms", goal: 1_000 }),
  ];
}

function describeEvent({ seq, epoch, at, type, data }: LoggedEvent): string {
  return `${seq} epoch ${epoch} ${new Date(at).toISOString()} ${type} ${JSON.stringify(data ?? {}).slice(0, 150)}`;
}

function readLog(path: string): readonly string[] {
  try {
    return readFileSync(path, "utf8").trim().split("\n");
  } catch {
    return [];
  }
}

export const bench: Bench = {
  name: "durability",
  description: "sessions whose workers, database and sandboxes are killed: what is lost, doubled, stuck; recovery",
  options: [
    { name: "kills", description: "how many kills, at least", default: 110 },
    { name: "sessions", description: "how many sessions at a time", default: 14 },
    { name: "seed", description: "what chance starts from; 0: the clock", default: 0 },
    { name: "interrupts", description: "how many of each kind of command", default: 20 },
    { name: "log", description: "how many last lines of the workers' log to show", default: 0 },
  ],
  run,
};
