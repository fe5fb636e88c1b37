/** What the demo found out: one object for scripts, a summary for people. Pure. @module */
import type { SandboxFigures } from "@exoloop/protocol/sandboxes";
import type { Session } from "@exoloop/protocol/sessions";
import { escapeToLine } from "../render/escape.ts";
import { formatMilliseconds } from "../render/lane.ts";
import type { Colors } from "../render/terminal.ts";
import type { DemoWatch } from "./watch.ts";

export type TestVerdict = "pass" | "fail";

export interface DemoReport {
  readonly model: string;
  readonly tests: { readonly before: TestVerdict; readonly after: TestVerdict };
  /** Seconds from the session's creation to its last reading. */
  readonly session: {
    readonly id: string;
    readonly seconds: number;
    readonly turns: number;
    readonly steps: number;
  };
  readonly sandbox: {
    readonly provider: string;
    readonly replaced: number;
    readonly awakeSeconds: number;
    readonly commands: number;
    readonly resumeMs: SandboxFigures["resume_ms"];
    readonly generation: number;
  };
  readonly tokens: { readonly input: number; readonly output: number; readonly cacheRead: number };
  /**
   * Every file of the dead sandbox's workspace is in its replacement, byte for byte, and nothing else is. Left out: what
   * the killed command had just changed, and git's cache of inode numbers.
   */
  readonly workspaceIntact: boolean;
  /** Text of the note that the agent left in /memory/org, read back; null when it left none. */
  readonly memoryNote: string | null;
  /** Wall clock of the whole demo, start of the server included. */
  readonly seconds: number;
}

export interface DemoObservations {
  readonly model: string;
  readonly tests: DemoReport["tests"];
  readonly session: Session;
  readonly watch: DemoWatch;
  readonly workspaceIntact: boolean;
  readonly memoryNote: string | null;
  readonly seconds: number;
}

const round = (value: number) => Math.round(value * 1000) / 1000;

/** Null when the session has used no sandbox: then there is nothing to report. */
export function createReport(observations: DemoObservations): DemoReport | null {
  const { session, watch } = observations;
  const { sandbox } = session.x_exoloop;
  if (sandbox === null) return null;
  return {
    model: observations.model,
    tests: observations.tests,
    session: {
      id: session.id,
      seconds: round(session.stats.duration_seconds),
      turns: watch.turns,
      steps: watch.steps,
    },
    sandbox: {
      provider: sandbox.provider,
      replaced: sandbox.replacements,
      awakeSeconds: round(sandbox.awake_seconds),
      commands: sandbox.commands,
      resumeMs: sandbox.resume_ms,
      generation: sandbox.generation,
    },
    tokens: {
      input: session.usage.input_tokens,
      output: session.usage.output_tokens,
      cacheRead: session.usage.cache_read_input_tokens,
    },
    workspaceIntact: observations.workspaceIntact,
    memoryNote: observations.memoryNote,
    seconds: round(observations.seconds),
  };
}

/** What a demo must have shown, as far as it has not. Empty: it succeeded. */
export function shortcomings(report: DemoReport): string[] {
  return [
    report.tests.before === "fail" ? null : "The tests passed before the agent had done anything.",
    report.tests.after === "pass" ? null : "The tests still fail: the agent did not repair the project.",
    report.sandbox.replaced === 1 ? null : `The sandbox was replaced ${report.sandbox.replaced} times instead of once.`,
    report.workspaceIntact ? null : "The workspace was not the same after its sandbox was replaced.",
  ].filter((line) => line !== null);
}

/** Lines of the closing summary, escaped. */
export function describeReport(report: DemoReport, colors: Colors): string[] {
  const { session, sandbox, tokens } = report;
  const asleep = session.seconds > 0 ? Math.max(0, 100 * (1 - sandbox.awakeSeconds / session.seconds)) : 0;
  const verdict = (result: TestVerdict) => (result === "pass" ? colors.green("pass") : colors.red("fail"));
  const resume = sandbox.resumeMs;
  const milliseconds = (value: number | null) => (value === null ? "none" : formatMilliseconds(value));
  const rows: readonly (readonly [string, string])[] = [
    ["model", escapeToLine(report.model)],
    ["tests", `${verdict(report.tests.before)} before, ${verdict(report.tests.after)} after`],
    [
      "session",
      `${session.turns} turn${session.turns === 1 ? "" : "s"}, ${session.steps} steps, ${session.seconds.toFixed(1)} s`,
    ],
    [
      "sandbox",
      `${sandbox.commands} commands, awake ${sandbox.awakeSeconds.toFixed(2)} s of ${session.seconds.toFixed(1)} s (asleep ${asleep.toFixed(0)} %)`,
    ],
    ["resume", `p50 ${milliseconds(resume.p50)}, max ${milliseconds(resume.max)} (${resume.n} times)`],
    [
      "replaced",
      `${sandbox.replaced} time${sandbox.replaced === 1 ? "" : "s"}; workspace ${report.workspaceIntact ? "intact, byte for byte" : colors.red("NOT intact")}`,
    ],
    ["tokens", `${tokens.input} in, ${tokens.output} out, ${tokens.cacheRead} from cache`],
    ["memory", report.memoryNote === null ? "no note" : `“${escapeToLine(report.memoryNote).slice(0, 160)}”`],
    ["in all", `${report.seconds.toFixed(1)} s`],
  ];
  return rows.map(([name, value]) => `${colors.dim(name.padEnd(10))}${value}`);
}
