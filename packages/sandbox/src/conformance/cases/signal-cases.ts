/** Cases about ending commands: signals, timeouts, process groups, what is left behind. @module */
import { claim, claimEqual, claimSoon } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { ended0, noProcesses, startedCommand } from "../steps.ts";

export const signalCases: readonly ConformanceCase[] = [
  {
    id: "signal.told",
    level: "MUST",
    capability: null,
    sentence: "A command that a signal ended is `signalled` with its number, never `exited`.",
    async run(context) {
      const { session } = await context.awake();
      claimEqual((await session.run({ command: "kill -9 $$" })).exit, { type: "signalled", signal: 9 }, "KILL");
      claimEqual((await session.run({ command: "kill -TERM $$" })).exit, { type: "signalled", signal: 15 }, "TERM");
    },
  },
  {
    id: "signal.sent",
    level: "MUST",
    capability: null,
    sentence: "`signal` reaches the command; after its end it answers false.",
    async run(context) {
      const process = await startedCommand(await context.awake(), { command: "echo on; sleep 30" });
      claimEqual(await process.signal(10), true, "while it runs");
      claimEqual(await process.wait(), { type: "signalled", signal: 10 }, "exit");
      claimEqual(await process.signal(10), false, "after its end");
    },
  },
  {
    id: "signal.kill",
    level: "MUST",
    capability: null,
    sentence: "`kill` ends a command with SIGTERM.",
    async run(context) {
      const process = await startedCommand(await context.awake(), { command: "echo on; sleep 30" });
      await process.kill();
      claimEqual(await process.wait(), { type: "signalled", signal: 15 }, "exit");
    },
  },
  {
    id: "signal.kill-insists",
    level: "MUST",
    capability: null,
    sentence: "`kill` ends a command that ignores SIGTERM, soon after.",
    async run(context) {
      const command = "trap '' TERM; echo on; sleep 30; sleep 30";
      const process = await startedCommand(await context.awake(), { command });
      const begun = performance.now();
      await process.kill();
      claimEqual(await process.wait(), { type: "signalled", signal: 9 }, "exit");
      claim(performance.now() - begun < 3000, "it took longer than 3 s");
    },
  },
  {
    id: "signal.kill-whole-group",
    level: "MUST",
    capability: null,
    sentence: "`kill` ends the whole process group (orphans).",
    async run(context) {
      const sandbox = await context.awake();
      const process = await startedCommand(sandbox, { command: "sleep 31 & sleep 32 & echo on; sleep 33" });
      claim((await sandbox.session.listProcesses()).length >= 3, "its processes are listed");
      await process.kill();
      await process.wait();
      await noProcesses(sandbox, "all its processes end");
    },
  },
  {
    id: "signal.kill-after-exit",
    level: "MUST",
    capability: null,
    sentence: "Killing a command that has ended does nothing and is no error.",
    async run(context) {
      const process = await (await context.awake()).session.spawn({ command: "exit 5" });
      claimEqual(await process.wait(), { type: "exited", code: 5 }, "exit");
      await process.kill();
      claimEqual(await process.wait(), { type: "exited", code: 5 }, "exit afterwards");
    },
  },
  {
    id: "signal.abort",
    level: "MUST",
    capability: null,
    sentence: "An abort signal ends the command, also when it was given before the start.",
    async run(context) {
      const sandbox = await context.awake();
      const controller = new AbortController();
      const command = "echo on; sleep 30";
      const process = await startedCommand(sandbox, { command, abortSignal: controller.signal });
      controller.abort();
      claimEqual((await process.wait()).type, "signalled", "exit");
      const late = sandbox.session.run({ command: "sleep 30", abortSignal: controller.signal });
      const outcome = await late.catch(() => null);
      claim(outcome === null || outcome.exit.type === "signalled", "the one aborted before its start");
    },
  },
  {
    id: "signal.timeout",
    level: "MUST",
    capability: null,
    sentence: "A command whose time is over is `timed_out`, soon after that time.",
    async run(context) {
      const { session } = await context.awake();
      const begun = performance.now();
      const { exit, stdout } = await session.run({ command: "echo on; sleep 30", timeoutMs: 1500 });
      claimEqual([exit, stdout], [{ type: "timed_out" }, "on\n"], "outcome");
      const took = performance.now() - begun;
      claim(took >= 1490 && took < 5000, `it took ${Math.round(took)} ms`);
    },
  },
  {
    id: "signal.timeout-whole-group",
    level: "MUST",
    capability: null,
    sentence: "When a command's time is over its whole group is killed, also what ignores SIGTERM (orphans).",
    async run(context) {
      const sandbox = await context.awake();
      const command = "trap '' TERM; sleep 31 & sleep 32 & echo on; sleep 33";
      claimEqual((await sandbox.session.run({ command, timeoutMs: 300 })).exit, { type: "timed_out" }, "exit");
      await noProcesses(sandbox, "all its processes end");
    },
  },
  {
    id: "signal.timeout-not-reached",
    level: "MUST",
    capability: null,
    sentence: "A command that ends in time is not touched by its timeout, nor are others after it.",
    async run(context) {
      const { session } = await context.awake();
      const quick = await session.run({ command: "sleep 0.05; exit 3", timeoutMs: 900 });
      claimEqual(quick.exit, { type: "exited", code: 3 }, "exit");
      claimEqual((await session.run({ command: "sleep 1.1" })).exit, ended0, "exit of the next");
    },
  },
  {
    id: "signal.survivors",
    level: "MUST",
    capability: null,
    sentence:
      "A command ends although what it left behind holds its output open; survivors are told with their command.",
    async run(context) {
      const sandbox = await context.awake();
      const begun = performance.now();
      const { exit, stdout } = await sandbox.session.run({ commandId: "parent", command: "sleep 31 & echo done" });
      claimEqual([exit, stdout], [ended0, "done\n"], "outcome");
      claim(performance.now() - begun < 3000, "it waited for the survivor");
      const survivors = await sandbox.session.listProcesses();
      claimEqual(
        survivors.map(({ commandId, name }) => [commandId, name]),
        [["parent", "sleep"]],
        "survivors",
      );
    },
  },
  {
    id: "signal.processes-listed",
    level: "MUST",
    capability: null,
    sentence: "Living processes are listed; those of ended commands and maintenance are not.",
    async run(context) {
      const sandbox = await context.awake();
      const maintenance = await startedCommand(sandbox, { command: "echo on; sleep 31", scope: "maintenance" });
      claimEqual(await sandbox.session.listProcesses(), [], "without a workload");
      const process = await startedCommand(sandbox, { commandId: "work", command: "echo on; sleep 32" });
      await claimSoon(
        async () => (await sandbox.session.listProcesses()).some(({ commandId }) => commandId === "work"),
        "the workload's process is listed",
      );
      await process.kill();
      await process.wait();
      await noProcesses(sandbox, "the list is empty again");
      await maintenance.kill();
    },
  },
];
