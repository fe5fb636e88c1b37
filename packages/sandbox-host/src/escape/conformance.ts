/** The escape conformance of one kind of sandbox: every probe asked inside it, and where there are no walls. @module */
import { type GivenAnswer, type LiveProbe, judgeAnswers, parseAnswers } from "./probe.ts";
import type { SandboxRuntime } from "@exoloop/sandbox/providers/local/host-messages";
import { buildGuest } from "../guest-build.ts";
import { type Canaries, openCanaries } from "./canaries.ts";
import { takeCarelessly, takeFromSandbox } from "./export-probes.ts";
import { type Expectations, expectationsFor } from "./expectations.ts";
import type { Gate, GateContext } from "./gate.ts";
import { hashShownFiles } from "./launch-gates.ts";
import { type EscapeTarget, findHostProcess, openTarget } from "./target.ts";
import { askInWeakControl } from "./weak-control.ts";

export interface ProbeResult {
  readonly id: string;
  readonly kind: "live" | "gate";
  readonly family: string;
  readonly scenario: number | null;
  readonly sentence: string;
  readonly held: boolean;
  /** What was seen, as short text. */
  readonly seen: string;
  /** A live probe reached what it asks for in the weak control; a gate refused everything that it must refuse. */
  readonly controlReached: boolean;
  readonly controlSeen: string;
}

export interface EscapeResult {
  /** All of them. */
  readonly probes: number;
  readonly held: number;
  readonly reachable: number;
  /** How many were shown to fail where they must: equal to `probes`, or the conformance proves nothing. */
  readonly weakControlReachable: number;
  readonly live: number;
  readonly gates: number;
  /** Differences from the catalogue that are declared for this kind of sandbox. */
  readonly declared: number;
  readonly seconds: number;
  readonly ok: boolean;
  readonly results: readonly ProbeResult[];
}

type Answers = ReadonlyMap<string, GivenAnswer>;

const describe = ({ answer, detail }: GivenAnswer): string => (detail === "" ? answer : `${answer}: ${detail}`);

function judgeLive(liveProbes: readonly LiveProbe[], answers: Answers, control: Answers): ProbeResult[] {
  const verdicts = judgeAnswers(liveProbes, answers);
  const controls = judgeAnswers(liveProbes, control);
  return liveProbes.map((probe, index) => {
    const { id, family, scenario, sentence } = probe;
    const inside = verdicts[index]?.answer ?? { answer: "missing", detail: "" };
    const outside = controls[index]?.answer ?? { answer: "missing", detail: "" };
    // A control that crashed or was not asked has not reached anything.
    const asked = !["missing", "crashed", "ungiven", "unable"].includes(outside.answer);
    return {
      ...{ id, family, scenario, sentence, kind: "live" },
      held: verdicts[index]?.held === true,
      seen: describe(inside),
      controlReached: asked && controls[index]?.held === false,
      controlSeen: describe(outside),
    };
  });
}

async function judgeGate(gate: Gate, context: GateContext): Promise<ProbeResult> {
  const { id, scenario, sentence } = gate;
  const fact = await gate.observe(context).catch((error: unknown) => `could not look: ${String(error)}`);
  const controls = gate.controls(fact);
  const holds = (each: string): boolean => {
    try {
      return gate.holds(each);
    } catch {
      return false;
    }
  };
  const passed = controls.filter(holds);
  return {
    ...{ id, scenario, sentence, kind: "gate", family: "gates" },
    held: holds(fact),
    seen: fact.replaceAll("\n", " ").slice(0, 120),
    controlReached: controls.length > 0 && passed.length === 0,
    controlSeen: passed.length === 0 ? `${controls.length} refused` : `not refused: ${passed[0]?.slice(0, 60)}`,
  };
}

/** gVisor's processes are not the host's: its gates look at none. */
async function openGateContext(target: EscapeTarget, runtime: SandboxRuntime): Promise<GateContext> {
  if (runtime === "gvisor") return { target, inside: 0, insideNeighbour: 0, hashesBefore: "" };
  const inside = await findHostProcess(target.sandbox);
  const insideNeighbour = await findHostProcess(target.neighbour);
  if (inside === null || insideNeighbour === null) throw new Error("the host sees no process of the sandbox");
  return { target, inside, insideNeighbour, hashesBefore: hashShownFiles(inside) };
}

interface Question {
  readonly probe: string;
  readonly canaries: Canaries;
  readonly runtime: SandboxRuntime;
  readonly expectations: Expectations;
}

async function ask(target: EscapeTarget, { probe, canaries, runtime, expectations }: Question): Promise<ProbeResult[]> {
  const context = await openGateContext(target, runtime);
  const control = new Map([
    ...parseAnswers(await askInWeakControl(probe, canaries)),
    ...(await takeCarelessly(canaries)),
  ]);
  const answers = new Map([
    ...parseAnswers(await target.ask(probe, canaries.facts)),
    ...(await takeFromSandbox(target.sandbox.session, canaries)),
  ]);
  const results = judgeLive(expectations.live, answers, control);
  for (const gate of expectations.gates) results.push(await judgeGate(gate, context));
  return results;
}

/** @throws Error, SandboxUnavailableError when something is missing that it needs: never a smaller denominator. */
export async function checkEscape(runtime: SandboxRuntime = "bubblewrap"): Promise<EscapeResult> {
  const { probe } = buildGuest();
  const expectations = expectationsFor(runtime);
  const started = performance.now();
  const canaries = await openCanaries();
  try {
    const target = await openTarget(runtime);
    try {
      const results = await ask(target, { probe, canaries, runtime, expectations });
      const held = results.filter((result) => result.held).length;
      const weakControlReachable = results.filter((result) => result.controlReached).length;
      const probes = expectations.live.length + expectations.gates.length;
      return {
        ...{ probes, held, reachable: probes - held, weakControlReachable },
        ...{ live: expectations.live.length, gates: expectations.gates.length },
        declared: expectations.declared.length,
        seconds: Math.round(performance.now() - started) / 1000,
        ok: held === probes && weakControlReachable === probes,
        results,
      };
    } finally {
      await target.close();
    }
  } finally {
    canaries.close();
  }
}
