/** The escape conformance of one kind of sandbox: every probe asked inside it, and where there are no walls. @module */
import { type GivenAnswer, type LiveProbe, judgeAnswers, parseAnswers } from "./probe.ts";
import { buildGuest } from "../guest-build.ts";
import { type Canaries, openCanaries } from "./canaries.ts";
import { exportProbes, takeCarelessly, takeFromSandbox } from "./export-probes.ts";
import type { Gate, GateContext } from "./gate.ts";
import { kernelGates } from "./kernel-gates.ts";
import { hashShownFiles, launchGates } from "./launch-gates.ts";
import { insideProbes } from "./probe-rows.ts";
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
  readonly seconds: number;
  readonly ok: boolean;
  readonly results: readonly ProbeResult[];
}

export const liveProbes: readonly LiveProbe[] = [...insideProbes, ...exportProbes];
export const gates: readonly Gate[] = [...kernelGates, ...launchGates];

type Answers = ReadonlyMap<string, GivenAnswer>;

const describe = ({ answer, detail }: GivenAnswer): string => (detail === "" ? answer : `${answer}: ${detail}`);

function judgeLive(answers: Answers, control: Answers): ProbeResult[] {
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
  const passed = controls.filter((control) => gate.holds(control));
  return {
    ...{ id, scenario, sentence, kind: "gate", family: "gates" },
    held: gate.holds(fact),
    seen: fact.replaceAll("\n", " ").slice(0, 120),
    controlReached: controls.length > 0 && passed.length === 0,
    controlSeen: passed.length === 0 ? `${controls.length} refused` : `not refused: ${passed[0]?.slice(0, 60)}`,
  };
}

async function openGateContext(target: EscapeTarget): Promise<GateContext> {
  const inside = await findHostProcess(target.sandbox);
  const insideNeighbour = await findHostProcess(target.neighbour);
  if (inside === null || insideNeighbour === null) throw new Error("the host sees no process of the sandbox");
  return { target, inside, insideNeighbour, hashesBefore: hashShownFiles(inside) };
}

async function ask(target: EscapeTarget, probe: string, canaries: Canaries): Promise<ProbeResult[]> {
  const context = await openGateContext(target);
  const control = new Map([
    ...parseAnswers(await askInWeakControl(probe, canaries)),
    ...(await takeCarelessly(canaries)),
  ]);
  const answers = new Map([
    ...parseAnswers(await target.ask(probe, canaries.facts)),
    ...(await takeFromSandbox(target.sandbox.session, canaries)),
  ]);
  const results = judgeLive(answers, control);
  for (const gate of gates) results.push(await judgeGate(gate, context));
  return results;
}

/** @throws Error, SandboxUnavailableError when something is missing that it needs: never a smaller denominator. */
export async function checkEscape(): Promise<EscapeResult> {
  const { probe } = buildGuest();
  const started = performance.now();
  const canaries = await openCanaries();
  try {
    const target = await openTarget();
    try {
      const results = await ask(target, probe, canaries);
      const held = results.filter((result) => result.held).length;
      const weakControlReachable = results.filter((result) => result.controlReached).length;
      const probes = liveProbes.length + gates.length;
      return {
        ...{ probes, held, reachable: probes - held, weakControlReachable },
        ...{ live: liveProbes.length, gates: gates.length },
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
