/** What became of each tool call, against its plan, the outside file and what was done meanwhile. Pure. @module */
import { countingToolName } from "./counting-tool.ts";
import type { Evidence, Finding, LoggedEvent, SessionEvidence } from "./evidence.ts";
import { callKey, type PlannedCall } from "./plan.ts";

/** One call as the log tells it. */
interface Call {
  readonly toolUseId: string;
  readonly name: string;
  readonly planned: PlannedCall | undefined;
  readonly starts: readonly LoggedEvent[];
  readonly results: readonly LoggedEvent[];
}

export interface CallsJudgement {
  readonly findings: readonly Finding[];
  /** Calls whose outcome the model was told to be unknown. */
  readonly unknown: number;
  /** Calls that were in flight when a worker, the database or their sandbox was hit: those that may be unknown. */
  readonly exposed: number;
  readonly total: number;
}

/** Clocks of different processes on one machine, and the time from a decision to its being written. */
const slackMs = 100;
/** A sandbox killed shortly before a command starts in it is noticed by that command. */
const sandboxSlackMs = 2_000;

export function judgeCalls(session: SessionEvidence, evidence: Evidence): CallsJudgement {
  const calls = readCalls(session);
  const findings: Finding[] = [...judgePlan(session, calls)];
  let unknown = 0;
  let exposed = 0;
  for (const call of calls) {
    const outside = evidence.outside.filter((entry) => entry.toolUseId === call.toolUseId).length;
    const isExposed = mayBeUnknown(session, call, evidence);
    const isUnknown = call.results.some((result) => saysUnknown(textOf(result)));
    if (isExposed) exposed += 1;
    if (isUnknown) unknown += 1;
    findings.push(...judgeCall(session, call, { outside, isExposed, isUnknown, evidence }));
  }
  return { findings, unknown, exposed, total: calls.length };
}

function readCalls({ log, planned }: SessionEvidence): readonly Call[] {
  const byKey = new Map(planned.map((call) => [callKey(call.name, call.input), call]));
  return log
    .filter((event) => event.type === "agent.tool_use")
    .map((event): Call => {
      const { name, input } = event.data as { readonly name: string; readonly input: Record<string, unknown> };
      return {
        toolUseId: event.id,
        name,
        planned: byKey.get(callKey(name, input)),
        starts: log.filter((other) => other.type === "x.tool_started" && other.record?.["tool_use_id"] === event.id),
        results: log.filter((other) => other.type === "agent.tool_result" && other.data?.["tool_use_id"] === event.id),
      };
    });
}

/** Every planned call is in the log once: none was left out, and no step of the model was played twice. */
function judgePlan({ sessionId, planned, stuck }: SessionEvidence, calls: readonly Call[]): readonly Finding[] {
  return planned.flatMap((plan): Finding[] => {
    const times = calls.filter((call) => call.planned === plan).length;
    const what = callKey(plan.name, plan.input).slice(0, 120);
    if (times > 1) return [{ kind: "double", sessionId, text: `planned once, called ${times} times: ${what}` }];
    if (times === 0 && stuck === null) return [{ kind: "lost", sessionId, text: `planned and never called: ${what}` }];
    return [];
  });
}

interface Circumstances {
  readonly outside: number;
  readonly isExposed: boolean;
  readonly isUnknown: boolean;
  readonly evidence: Evidence;
}

function judgeCall(session: SessionEvidence, call: Call, circumstances: Circumstances): readonly Finding[] {
  const { sessionId } = session;
  const { outside, isExposed, isUnknown } = circumstances;
  const findings: Finding[] = [];
  const add = (kind: Finding["kind"], text: string) =>
    findings.push({ kind, sessionId, text: `${call.toolUseId}: ${text}` });
  if (outside > 1) add("double", `the counting tool ran ${outside} times`);
  if (call.starts.length > 1) add("double", `it was started ${call.starts.length} times`);
  if (call.results.length > 1) add("double", `it has ${call.results.length} results`);
  const [result] = call.results;
  if (result === undefined) {
    if (session.stuck === null) add("lost", `${call.name} has no result`);
    return findings;
  }
  if (isUnknown && !isExposed)
    add("unjustified", `${call.name} is unknown, and nothing was hit ${spanOf(call)}: ${textOf(result)}`);
  if (!isUnknown) {
    if (call.name === countingToolName && outside === 0) add("lost", "its result says it ran, and the file says no");
    const problem =
      call.planned === undefined ? "nobody asked for it" : compare(session, call, call.planned, circumstances);
    if (problem !== null) add("wrong", `${call.name}: ${problem}`);
  }
  return [...findings, ...judgeWrite(session, call), ...judgeCapture(session, call, isUnknown)];
}

/** A write that was run again left one version. */
function judgeWrite({ sessionId, versions }: SessionEvidence, call: Call): readonly Finding[] {
  const path = call.name === "write" ? call.planned?.input["file_path"] : undefined;
  if (typeof path !== "string" || !path.startsWith("/memory/")) return [];
  const count = versions.get(path) ?? 0;
  if (count > 1) return [{ kind: "double", sessionId, text: `${call.toolUseId}: ${path} has ${count} versions` }];
  return count === 1
    ? []
    : [{ kind: "lost", sessionId, text: `${call.toolUseId}: ${path} was written and is not stored` }];
}

/** What a command left in a stored file is there once; where its outcome is unknown, at most once. */
function judgeCapture({ sessionId, captured }: SessionEvidence, call: Call, isUnknown: boolean): readonly Finding[] {
  const line = call.planned?.captured ?? null;
  if (line === null) return [];
  const times = captured.filter((other) => other === line).length;
  if (times > 1) return [{ kind: "double", sessionId, text: `${call.toolUseId}: ${line} was captured ${times} times` }];
  if (times === 1 || isUnknown) return [];
  return [{ kind: "lost", sessionId, text: `${call.toolUseId}: ${line} was written and never captured` }];
}

function compare(
  session: SessionEvidence,
  call: Call,
  planned: PlannedCall,
  { evidence }: Circumstances,
): string | null {
  const [result] = call.results;
  if (result === undefined) return null;
  const text = withoutBlocks(textOf(result));
  const { expected } = planned;
  const matches =
    (expected.whole ? text === expected.text : text.includes(expected.text)) &&
    (result.data?.["is_error"] === true) === expected.isError;
  if (matches) return null;
  // The workspace of a lost sandbox comes back as it was at the last snapshot.
  if (planned.needsWorkspace && sandboxKills(session, evidence, 0, Infinity).length > 0) return null;
  return `expected ${JSON.stringify(expected.text)}, got ${JSON.stringify(text.slice(0, 300))}`;
}

/**
 * A call that may not be repeated, when its worker or the database was hit between its start and its result; a command,
 * when its sandbox was. Nothing else.
 */
function mayBeUnknown(session: SessionEvidence, call: Call, evidence: Evidence): boolean {
  const [start] = call.starts;
  if (start === undefined) return false;
  const until = (call.results[0]?.at ?? Infinity) + slackMs;
  const from = start.at - slackMs;
  if (call.name === "bash") return sandboxKills(session, evidence, start.at - sandboxSlackMs, until).length > 0;
  if (call.name !== countingToolName) return false;
  const driver = evidence.claims.find((claim) => claim.sessionId === session.sessionId && claim.epoch === start.epoch);
  return evidence.blows.some((blow) => {
    if (blow.type === "postmaster") return blow.at >= from && blow.at <= until;
    // A stop holds the worker for its whole length.
    if (blow.type === "stop") return blow.pid === driver?.pid && blow.at <= until && blow.until >= from;
    return blow.type === "worker" && blow.pid === driver?.pid && blow.at >= from && blow.at <= until;
  });
}

function sandboxKills({ sessionId }: SessionEvidence, { blows }: Evidence, from: number, until: number) {
  return blows.filter(
    (blow) => blow.type === "sandbox" && blow.sessionId === sessionId && blow.at >= from && blow.at <= until,
  );
}

/** For people who look for the blow that the oracle does not know. */
function spanOf(call: Call): string {
  const [first, last] = [call.starts[0], call.results[0]].map((event) => new Date(event?.at ?? 0).toISOString());
  return `from ${first} to ${last}`;
}

function textOf(result: LoggedEvent): string {
  const content = (result.data?.["content"] ?? []) as readonly { readonly text?: string }[];
  return content.map((block) => block.text ?? "").join("\n");
}

function saysUnknown(text: string): boolean {
  return /outcome is unknown/.test(text);
}

/** Blocks tell about files and sandboxes; the rest is the command's own. */
function withoutBlocks(text: string): string {
  return text.replaceAll(/<(files_sync|sandbox_replaced)>\n[\s\S]*?<\/\1>\n?/g, "").replace(/\n$/, "");
}
