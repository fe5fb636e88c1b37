/**
 * Recorded logs, decided again. A worker of a new version goes on with logs that an older one wrote: what it would
 * decide differently is a change of protocol, and must be declared as one.
 * @module
 */
import { reduce } from "../../sessions/reduce.ts";
import { initialState, type SessionState } from "../../sessions/state.ts";
import { type Action, decide, type DecideContext } from "../decide.ts";
import { defaultLimits } from "../run.ts";
import { type DeclaredChange, type Fixture, hashOf, logOfFixture, type RecordedLog, recordedStart } from "./fixture.ts";

/** What is replayed; another one in the place of the loop's shows that a change is seen. */
export interface ReplayedLoop {
  readonly reduce: typeof reduce;
  readonly decide: typeof decide;
}

export const currentLoop: ReplayedLoop = { reduce, decide };

export type Change = Pick<DeclaredChange, "fixture" | "log" | "place" | "from" | "to">;

type Situation = Partial<Omit<DecideContext, "isParallel">>;

/** A driver may meet each event in any of these. Instants are those of the event where none is given. */
const situations: Readonly<Record<string, Situation>> = {
  plain: {},
  looked: { waitsChecked: true },
  later: { waitsChecked: true, now: recordedStart + 3_600_000 },
  long: { stepsInTurn: defaultLimits.maximumStepsInTurn },
  spent: { budget: { scope: "session", kind: "steps", limit: 1, used: 1 } },
  full: { contextWindow: 1 },
};

/** Every decision that the events lead to, in every situation, and what the model would see at the end. */
export function decideAll(
  log: Pick<RecordedLog, "events">,
  parallelTools: readonly string[],
  loop: ReplayedLoop = currentLoop,
): Pick<RecordedLog, "decisions" | "transcript"> {
  const decisions: Record<string, string> = {};
  let state: SessionState = initialState;
  for (const event of logOfFixture(log)) {
    state = loop.reduce(state, [event]);
    const decideIn = (situation: Situation) =>
      describeAction(
        loop.decide(state, {
          ...defaultLimits,
          now: event.createdAt.getTime(),
          stepsInTurn: 0,
          waitsChecked: false,
          budget: null,
          contextWindow: 200_000,
          isParallel: (toolName) => parallelTools.includes(toolName),
          ...situation,
        }),
      );
    const plain = decideIn({});
    for (const [name, situation] of Object.entries(situations)) {
      const action = decideIn(situation);
      if (name === "plain" || action !== plain) decisions[`${event.seq} ${name}`] = action;
    }
  }
  return { decisions, transcript: hashOf(state.transcript) };
}

/** The action's type and everything that it names. */
function describeAction(action: Action): string {
  switch (action.type) {
    case "consume":
      return `consume ${action.events.map(({ id }) => id).join(" ")}`;
    case "settle-model":
      return `settle-model ${action.startId}`;
    case "decide-calls":
      return `decide-calls ${action.calls.map(({ callId }) => callId).join(" ")}`;
    case "settle-tools":
    case "park-calls":
    case "check-waits":
    case "run-tools":
      return `${action.type} ${action.calls.map(({ toolUseId, status }) => `${toolUseId}:${status}`).join(" ")}`;
    case "wait-until":
      return `wait-until +${action.until - recordedStart} ms`;
    case "park":
      return `park ${action.status}`;
    case "wait":
      return action.reason.type === "requires_action"
        ? `wait requires_action ${action.reason.event_ids.join(" ")}`
        : `wait ${action.reason.type}`;
    default:
      return action.type;
  }
}

/** Everything that is decided otherwise than recorded. */
export function changesOf(fixture: Fixture, loop: ReplayedLoop = currentLoop): readonly Change[] {
  return fixture.logs.flatMap((log) => {
    const found = decideAll(log, fixture.parallelTools, loop);
    const places = new Set([...Object.keys(log.decisions), ...Object.keys(found.decisions)]);
    const changed = [...places].flatMap((place) => {
      const [from, to] = [decisionAt(log.decisions, place), decisionAt(found.decisions, place)];
      return from === to ? [] : [{ fixture: fixture.name, log: log.name, place, from, to }];
    });
    if (found.transcript === log.transcript) return changed;
    const [from, to] = [log.transcript, found.transcript];
    return [...changed, { fixture: fixture.name, log: log.name, place: "transcript", from, to }];
  });
}

function decisionAt(decisions: RecordedLog["decisions"], place: string): string {
  return decisions[place] ?? decisions[`${place.split(" ")[0]} plain`] ?? "nothing";
}

/** What is wrong between the changes that there are and those that are declared. In sentences. */
export function undeclared(
  fixtures: readonly Fixture[],
  declared: readonly DeclaredChange[],
  protocolVersion: number,
  loop: ReplayedLoop = currentLoop,
): readonly string[] {
  const changes = fixtures.flatMap((fixture) => changesOf(fixture, loop));
  const where = ({ fixture, log, place }: Change) => `${fixture}, ${log}, ${place}`;
  const same = (one: Change, other: Change) =>
    where(one) === where(other) && one.from === other.from && one.to === other.to;
  const missing = changes
    .filter((change) => !declared.some((other) => same(change, other)))
    .map((change) => `${where(change)}: was "${change.from}", is "${change.to}", and is not declared`);
  const wrong = declared.flatMap((change) => {
    const recorded = fixtures.find(({ name }) => name === change.fixture)?.protocolVersion ?? 0;
    if (!changes.some((other) => same(change, other))) return [`${where(change)}: declared, and is not so`];
    if (change.protocolVersion <= recorded || change.protocolVersion > protocolVersion) {
      return [
        `${where(change)}: declared for version ${change.protocolVersion}; it must be above ${recorded}, that of the ` +
          `recording, and loopProtocolVersion (${protocolVersion}) must have been raised to it`,
      ];
    }
    return change.reason.trim() === "" ? [`${where(change)}: declared without a reason`] : [];
  });
  return [...missing, ...wrong];
}
