/**
 * The demo's course, against a running server and through its public API: seed a project whose test fails, let an
 * agent repair it, take its sandbox away half-way, look at what is left.
 * @module
 */
import type { Api } from "../api.ts";
import { userMessage } from "../api.ts";
import { CommandError } from "../exit-codes.ts";
import type { Narrator } from "../render/narrator.ts";
import { createObserver, type Observer } from "./observer.ts";
import { createReport, type DemoReport, type TestVerdict } from "./report.ts";
import { demoAgent, demoTask, testCommand } from "./scenario.ts";
import { readSeed, type SeedFile, seedCommand } from "./seed.ts";

export interface DemoStage {
  readonly api: Api;
  readonly narrator: Narrator;
  readonly model: string;
  /** Holds one directory for each sandbox of this machine. */
  readonly sandboxDirectory: string;
  importSkill(name: string, files: readonly SeedFile[]): Promise<void>;
  /** The project's files, and the skill's. */
  readonly project: string;
  readonly skill: { readonly name: string; readonly directory: string };
  /** Leave the session and its sandbox to be looked at. */
  readonly keep: boolean;
  /** Clock of `performance.now()` at the demo's start. */
  readonly startedAt: number;
  /** Aborts at the deadline and at Ctrl-C. */
  readonly signal: AbortSignal;
  /** Told as soon as there is one. */
  readonly onSession: (sessionId: string) => void;
}

/** @throws CommandError when the course cannot be completed. */
export async function runDemoOn(stage: DemoStage): Promise<DemoReport> {
  const { api, narrator, model, signal } = stage;
  await stage.importSkill(stage.skill.name, await readSeed(stage.skill.directory));
  const agent = await api.createAgent({ name: "Exoloop demo", model, system: demoAgent.system });
  const environment = await api.createEnvironment("Exoloop demo");
  const session = await api.createSession({
    agentId: agent.id,
    environmentId: environment.id,
    title: "Exoloop demo",
  });
  stage.onSession(session.id);
  const observer = await observe(stage, session.id, async () => {
    await runSetUp(api, session.id, await readSeed(stage.project));
    const before = await runTests(api, session.id);
    narrator.note(`The project is in the sandbox; its tests ${before === "fail" ? "fail" : "pass"}.`);
    await api.send(session.id, [userMessage(demoTask)]);
    return before;
  });
  signal.throwIfAborted();
  const after = await runTests(api, session.id);
  const workspaceIntact = await observer.workspaceIntact();
  const memoryNote = await readNote(api, session.id, observer.watch.notes);
  const report = createReport({
    model,
    tests: { before: observer.before, after },
    session: await api.session(session.id),
    watch: observer.watch,
    workspaceIntact,
    memoryNote,
    seconds: (performance.now() - stage.startedAt) / 1000,
  });
  if (!stage.keep) await api.archiveSession(session.id);
  if (report === null) throw new CommandError("The session has used no sandbox, so there is nothing to show.");
  return report;
}

/** Follows the session from its first event until it stops; `begin` gives it its work. */
async function observe(
  stage: DemoStage,
  sessionId: string,
  begin: () => Promise<TestVerdict>,
): Promise<Observer & { readonly before: TestVerdict }> {
  const { api, narrator, signal } = stage;
  const fault = new AbortController();
  const failures: Error[] = [];
  const onFault = (error: unknown) => {
    failures.push(error instanceof Error ? error : new Error(String(error)));
    fault.abort();
  };
  const observer = createObserver({
    api,
    narrator,
    sessionId,
    sandboxDirectory: stage.sandboxDirectory,
    onFault,
  });
  const begun = begin();
  begun.catch(onFault);
  for await (const event of api.follow(sessionId, AbortSignal.any([signal, fault.signal]))) {
    observer.observe(event);
    if (observer.watch.stopped !== null) break;
  }
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  signal.throwIfAborted();
  if (observer.watch.stopped !== "end_turn") {
    const { error, stopped } = observer.watch;
    throw new CommandError(`The agent stopped early (${stopped ?? "its stream ended"}). ${error ?? ""}`.trim());
  }
  return Object.assign(observer, { before: await begun });
}

async function runSetUp(api: Api, sessionId: string, project: readonly SeedFile[]): Promise<void> {
  const { exit, output } = await api.runCommand(sessionId, seedCommand(project));
  if (exit.type !== "exited" || exit.code !== 0) {
    throw new CommandError(`The project could not be put into the sandbox:\n${output.slice(-2000)}`);
  }
}

/** Codes of a shell that could not run the tests at all. */
const notRunnable = [126, 127];

async function runTests(api: Api, sessionId: string): Promise<TestVerdict> {
  const { exit, output } = await api.runCommand(sessionId, testCommand);
  if (exit.type !== "exited" || notRunnable.includes(exit.code)) {
    throw new CommandError(`The tests could not be run in the sandbox (${exit.type}):\n${output.slice(-2000)}`);
  }
  return exit.code === 0 ? "pass" : "fail";
}

/** The last note that the agent wrote, as another command finds it. */
async function readNote(api: Api, sessionId: string, notes: readonly string[]): Promise<string | null> {
  const path = notes.at(-1);
  if (path === undefined) return null;
  const file = path.slice("/memory".length);
  const { exit, output } = await api.runCommand(sessionId, `cat -- "\${MEMORY:-/memory}"'${file}'`);
  return exit.type === "exited" && exit.code === 0 ? output.trim() : null;
}
