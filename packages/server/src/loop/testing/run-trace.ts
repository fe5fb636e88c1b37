/** Runs a trace: turn after turn, until nothing is left to do; drivers that are stopped on the way are followed by others. @module */
import { createId } from "@exoloop/protocol/ids";
import { sql } from "kysely";
import type { Database } from "../../db/database.ts";
import { createModelCatalog } from "../../models/catalog.ts";
import type { ModelProvider } from "../../models/model.ts";
import { createModels } from "../../models/registry.ts";
import type { LogEvent } from "../../sessions/event.ts";
import { readLog } from "../../sessions/log.ts";
import type { NoticeBoard } from "../../sessions/notices.ts";
import { insertTestSession, type TestSession } from "../../sessions/testing-database.ts";
import { createLogger } from "../../telemetry/logger.ts";
import type { AgentSnapshot } from "../context.ts";
import { driveTurn, type DriverDependencies } from "../driver.ts";
import type { Effects } from "../effects.ts";
import { type CrashPoint, createGate, type GatedEffect, SimulatedCrash } from "../effects-gated.ts";
import type { RunningTrace, Trace } from "./trace.ts";
import { createTracedWorld } from "./traced-world.ts";
import { createWakeTable } from "./wake-table.ts";

export interface TracePlace {
  readonly database: Database;
  readonly notices: NoticeBoard;
}

export interface SessionLog {
  readonly sessionId: string;
  readonly events: readonly LogEvent[];
  readonly row: { readonly status: string; readonly headSeq: number };
  /** Rows of the audit log. */
  readonly audited: number;
}

export interface TraceResult {
  /** The session's, its threads' in the order of their making, and the other session's. */
  readonly logs: readonly SessionLog[];
  readonly passed: readonly GatedEffect[];
  readonly crashed: readonly GatedEffect[];
  /** How often the side effect of each call happened, by its event's identifier. */
  readonly done: ReadonlyMap<string, number>;
  readonly drives: number;
}

export interface TraceRunOptions {
  readonly points?: readonly CrashPoint[];
  /** Stands outside of the gate. */
  readonly observe?: (effects: Effects) => Effects;
}

/** The clock of a trace stands still, but for waits. */
const startOfTime = Date.UTC(2030, 0, 1);
const maximumDrives = 60;
/** No approval expires in a trace: its clock is years ahead of the database's. */
const approvalMs = 100 * 365 * 86_400_000;

export async function runTrace(
  { database, notices }: TracePlace,
  trace: Trace,
  { points = [], observe = (effects) => effects }: TraceRunOptions = {},
): Promise<TraceResult> {
  let now = startOfTime;
  const wakes = createWakeTable(database, createId("request"), () => now);
  const { session, other } = await insertSessions(database, trace);
  const running: RunningTrace = {
    database,
    engine: wakes.engine,
    session,
    other,
    published: (sessionId, events) => notices.publish({ type: "appended", sessionId, seq: events.at(-1)?.seq ?? 0 }),
  };
  let signalled = false;
  const signal = async (during: "tool" | "model") => {
    if (signalled || trace.signal?.during !== during) return;
    signalled = true;
    await trace.signal.stimulus(running);
  };
  const world = createTracedWorld(() => signal("tool"));
  const { breakTransactions } = wakes;
  let drives = 0;
  const drive = async (sessionId: string) => {
    drives += await driveThroughCrashes(dependencies, sessionId);
    if (drives > maximumDrives) throw new Error(`${trace.name}: does not come to rest`);
  };
  const gate = createGate({ points, replayOf: world.replayOf, breakTransactions, whileStalled: drive });
  const dependencies: DriverDependencies = {
    ...testParts(database, notices),
    engine: wakes.engine,
    models: signalling(createModels({}), () => signal("model")),
    tools: world.tools,
    wrapEffects: (effects) => gate.wrap(observe({ ...effects, now: () => now, random: () => 0 })),
  };
  for (const stimulus of trace.stimuli) {
    await stimulus(running);
    for (let wake = await wakes.take(now); wake !== null; wake = await wakes.take(now)) {
      now = Math.max(now, wake.at);
      await drive(wake.sessionId);
    }
  }
  const logs = await readLogs(database, session, other);
  return { logs, passed: gate.passed, crashed: gate.crashed, done: world.done, drives };
}

/** A turn whose driver is lost is handed out again. */
async function driveThroughCrashes(dependencies: DriverDependencies, sessionId: string): Promise<number> {
  for (let drives = 1; ; drives += 1) {
    try {
      await driveTurn(dependencies, sessionId);
      return drives;
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
    }
  }
}

function testParts(database: Database, notices: NoticeBoard): Omit<DriverDependencies, "engine" | "models" | "tools"> {
  return {
    database,
    notices,
    log: createLogger("silent"),
    catalog: createModelCatalog(),
    approvalMs,
    toolContext: ({ organizationId, sessionId }, { toolUseId }, options) => ({
      toolUseId,
      actor: { organizationId, sessionId, toolUseId, via: "tool" },
      files: unused("files"),
      commands: unused("commands"),
      background: unused("background"),
      ...options,
    }),
  };
}

function signalling(models: ModelProvider, signal: () => Promise<void>): ModelProvider {
  return {
    ...models,
    async *stream(request) {
      await signal();
      yield* models.stream(request);
    },
  };
}

function unused(name: string): never {
  const get = () => {
    throw new Error(`${name} is not used here`);
  };
  return new Proxy({}, { get }) as never;
}

async function insertSessions(
  database: Database,
  { agent, roster = [], budget, selfHosted }: Trace,
): Promise<{ readonly session: TestSession; readonly other: TestSession }> {
  const session = await insertTestSession(database, agent);
  const { organizationId, sessionId } = session;
  if (selfHosted === true) {
    await sql`update environments set config = '{"type":"self_hosted"}'
      where organization_id = ${organizationId}`.execute(database);
  }
  const agents = await Promise.all(roster.map((entry) => insertAgent(database, session, entry)));
  const other: TestSession = { organizationId, sessionId: createId("session") };
  await sql`
    insert into sessions (id, organization_id, agent, agent_id, agent_version, environment_id)
    select ${other.sessionId}, organization_id, agent, agent_id, agent_version, environment_id
    from sessions where id = ${sessionId}`.execute(database);
  await sql`insert into webhooks (id, organization_id, name, secret)
    values (${createId("request")}, ${organizationId}, 'ci', '\\x00')`.execute(database);
  const multiagent = { multiagent: { type: "coordinator", agents } };
  await sql`
    update sessions set budget = ${budget === undefined ? null : JSON.stringify(budget)}::jsonb,
                        agent = agent || ${JSON.stringify(agents.length === 0 ? {} : multiagent)}::jsonb
    where id = ${sessionId}`.execute(database);
  return { session, other };
}

/** With the tools and the model of the session's own agent, where the entry names no others. */
async function insertAgent(database: Database, session: TestSession, entry: Partial<AgentSnapshot>) {
  const id = createId("agent");
  await database
    .insertInto("agents")
    .values({ id, organization_id: session.organizationId, latest_version: 1 })
    .execute();
  const { rows } = await sql<{ definition: AgentSnapshot }>`
    insert into agent_versions (agent_id, organization_id, version, definition)
    select ${id}, organization_id, 1, agent || ${JSON.stringify(entry)}::jsonb
    from sessions where id = ${session.sessionId}
    returning definition`.execute(database);
  return { type: "agent", ...rows[0]?.definition, id, version: 1 };
}

async function readLogs(database: Database, session: TestSession, other: TestSession): Promise<readonly SessionLog[]> {
  const { rows } = await sql<{ id: string; status: string; head_seq: string; audited: string }>`
    select id, status, head_seq, (select count(*) from audit_log where session_id = sessions.id) as audited
    from sessions
    where id in (${session.sessionId}, ${other.sessionId}) or parent_session_id = ${session.sessionId}
    order by id = ${other.sessionId}, parent_session_id is not null, title`.execute(database);
  return Promise.all(
    rows.map(async (row) => ({
      sessionId: row.id,
      events: await readLog(database, row.id, 0),
      row: { status: row.status, headSeq: Number(row.head_seq) },
      audited: Number(row.audited),
    })),
  );
}
