/**
 * A session without a database: the loop itself over a log in memory, with a model, tools, input and lost drivers by
 * chance. Fast enough for thousands of sessions, each repeatable from its seed.
 * @module
 */
import { decideCall } from "../../policy/decide-call.ts";
import type { LogEvent, NewEvent } from "../../sessions/event.ts";
import { reduceLog } from "../../sessions/reduce.ts";
import type { CallResult } from "../../sessions/state.ts";
import type { RosterEntry } from "../context.ts";
import type { AppendRequest, Effects, ModelOutcome, SkillsReading } from "../effects.ts";
import { SimulatedCrash } from "../effects-gated.ts";
import { runTurn } from "../run.ts";
import { createRandomModel } from "./random-model.ts";
import { answerTo, approvalKey, randomInput } from "./random-input.ts";
import type { Random } from "@exoloop/sandbox/testing/random";

export interface SimulatedSession {
  readonly events: readonly LogEvent[];
  /** Effects that it took until the session rested. */
  readonly effects: number;
}

/** Chance of input, and of a lost driver, at each effect. */
const inputShare = 0.1;
const crashShare = 0.04;
/** A session that takes more does not come to rest. */
const maximumEffects = 1_500;
const maximumInputs = 12;

/**
 * Goes on with a log until nothing is left to do.
 * @throws Error when it does not come to rest, or when the loop itself fails.
 */
export async function simulateSession(begun: readonly LogEvent[], random: Random): Promise<SimulatedSession> {
  const world = createWorld(begun, random);
  for (;;) {
    try {
      await runTurn(world.effects, (toolName) => toolName === "read" || toolName === "grep");
    } catch (error) {
      if (error instanceof SimulatedCrash) continue;
      throw error;
    }
    if (!world.goOn()) return { events: world.log, effects: world.count() };
  }
}

/** A log in memory, with the wakes and alarms that appends ask for. */
function createMemoryLog(begun: readonly LogEvent[]) {
  const events: LogEvent[] = [...begun];
  let now = begun.at(-1)?.createdAt.getTime() ?? 0;
  let alarms: number[] = [];
  let woken = false;
  const store = (added: readonly NewEvent[]): readonly LogEvent[] => {
    now += 1;
    const createdAt = new Date(now);
    const stored = added.map((event, index) => ({ ...event, seq: events.length + index + 1, createdAt }));
    events.push(...stored);
    return stored;
  };
  return {
    events,
    now: () => now,
    append({ events: added, onlyAt, alarms: further = [], wake }: AppendRequest) {
      if (onlyAt !== undefined && onlyAt !== events.length) return null;
      alarms.push(...further);
      woken ||= wake === true;
      return store(added);
    },
    admit(input: NewEvent) {
      store([input]);
      woken = true;
    },
    /** Whether a turn was asked for; the clock goes on to the next alarm where none is due. */
    takeWake(): boolean {
      const due = woken ? undefined : alarms.toSorted((a, b) => a - b)[0];
      if (!woken && due === undefined) return false;
      woken = false;
      alarms = alarms.filter((alarm) => alarm !== due);
      now = Math.max(now, due ?? 0);
      return true;
    },
  };
}

function createWorld(begun: readonly LogEvent[], random: Random) {
  const log = createMemoryLog(begun);
  const answered = new Set(begun.flatMap(answeredCall));
  const callModel = createRandomModel(random);
  const watching = new Set<AbortController>();
  let [count, inputs] = [0, 0];

  /** Before and after each effect: somebody sends something, and drivers are lost. */
  const happen = () => {
    if (inputs < maximumInputs && random.chance(inputShare)) {
      inputs += 1;
      const input = randomInput(reduceLog(log.events), answered, random);
      log.admit(input);
      if (input.type === "user.interrupt") for (const controller of watching) controller.abort();
    }
    if (count < maximumEffects / 2 && random.chance(crashShare)) throw new SimulatedCrash("by chance");
  };
  const pass = async <Result>(effect: () => Result): Promise<Result> => {
    count += 1;
    if (count > maximumEffects) throw new Error("the session does not come to rest");
    happen();
    const result = effect();
    happen();
    return Promise.resolve(result);
  };
  const effects: Effects = {
    ...plainEffects(log.events, random),
    now: log.now,
    append: (request) => pass(() => log.append(request)),
    readAfter: (seq) => Promise.resolve(log.events.slice(seq)),
    // They change all the time.
    readSkills: (known) => Promise.resolve(skillsAt(log.events.length, known)),
    callModel: (request) => pass(() => (request.abortSignal.aborted ? interruptedOutcome : callModel(request))),
    runTool: (call, { resumed }) =>
      pass(() => textResult(resumed && call.toolName === "edit" ? "unknown" : "a result", random.chance(0.1))),
    checkWait: () => pass(() => (random.chance(0.3) ? textResult("It is there.", false) : null)),
    interruptThreads: () => pass(() => undefined),
    async interruptible(seq, _intent, effect) {
      const controller = new AbortController();
      if (log.events.some((event) => event.seq > seq && event.type === "user.interrupt")) controller.abort();
      watching.add(controller);
      return effect(controller.signal).finally(() => watching.delete(controller));
    },
  };
  /** After a turn: wakes, then alarms, then the answers that are waited for. False when nobody has anything to give. */
  const goOn = (): boolean => {
    if (log.takeWake()) return true;
    const answer = answerTo(reduceLog(log.events), answered, random);
    if (answer !== null) log.admit(answer);
    return answer !== null;
  };
  return { effects, goOn, log: log.events, count: () => count };
}

const interruptedOutcome: ModelOutcome = { type: "interrupted", usage: null };

const agent: RosterEntry["agent"] = { name: "anna", system: null, model: { id: "scripted" }, tools: [] };

function skillsAt(seq: number, known: number | null): SkillsReading | null {
  const revision = Math.ceil(seq / 8);
  if (revision === known) return null;
  return { revision, text: revision % 3 === 0 ? null : `<skills_update>${revision}</skills_update>` };
}

/** What does not change the log. */
function plainEffects(
  log: readonly LogEvent[],
  random: Random,
): Pick<
  Effects,
  | "sessionId"
  | "models"
  | "roster"
  | "budget"
  | "random"
  | "reachedBudget"
  | "contextWindow"
  | "cost"
  | "describe"
  | "decideCall"
  | "callDigest"
  | "prepareCall"
  | "atWorker"
> {
  const custom = { type: "custom", name: "ask_person", description: "Asks.", input_schema: {} } as const;
  const toolset = (policy: "always_allow" | "always_ask") => [
    { type: "agent_toolset_20260401", default_config: config(policy), configs: [] } as const,
    custom,
  ];
  return {
    sessionId: "sesn_0",
    models: ["scripted", "scripted/other"],
    roster: [{ agentId: "agent_1", version: 1, agent }],
    budget: {},
    random: random.next,
    reachedBudget: () => Promise.resolve(null),
    // Small: sessions are compacted.
    contextWindow: () => (log.length % 2 === 0 ? 1_000 : 600),
    cost: () => 1,
    describe: (state) => ({ system: "", messages: state.transcript, tools: [] }),
    decideCall: ({ toolName }) =>
      toolName === "delegate" || toolName === "wait_for"
        ? { decision: "allow", custom: false, policy: "always_allow", reasons: [] }
        : decideCall(toolset(random.chance(0.3) ? "always_ask" : "always_allow"), { toolName, readsOnly: false }),
    atWorker: (toolName) => toolName === "bash",
    prepareCall: () => Promise.resolve(null),
    callDigest: () => "",
  };
}

function config(policy: "always_allow" | "always_ask") {
  return { enabled: true, permission_policy: { type: policy } } as const;
}

function textResult(value: string, isError: boolean): CallResult {
  return { content: [{ type: "text", text: value }], isError };
}

/** The call that an event answers; nothing where it answers none. */
export function answeredCall({ type, data, record }: LogEvent): readonly string[] {
  const answers = [
    "user.tool_confirmation",
    "user.custom_tool_result",
    "user.tool_result",
    "x.wait_ended",
    "x.thread_settled",
  ];
  if (!answers.includes(type)) return [];
  const id = String(data?.["tool_use_id"] ?? data?.["custom_tool_use_id"] ?? record?.["tool_use_id"]);
  return [type === "user.tool_confirmation" ? approvalKey(id) : id];
}
