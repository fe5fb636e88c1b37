/** Cases about sleeping: nothing runs while a sandbox is suspended, and nothing is lost by it. @module */
import { claim, claimBytes, claimEqual, claimSoon, isOpenAfter, pause } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import {
  counted,
  countingCommand,
  ended0,
  fetched,
  noise,
  outputOf,
  printed,
  readText,
  startedCommand,
  writeText,
} from "../steps.ts";

export const suspendCases: readonly ConformanceCase[] = [
  {
    id: "suspend.starts-suspended",
    level: "MUST",
    capability: "suspend",
    sentence: "A new sandbox is suspended, and says so.",
    async run(context) {
      const sandbox = await context.create();
      claimEqual((await sandbox.status()).state, "suspended", "state");
      await sandbox.resume();
      claimEqual((await sandbox.status()).state, "awake", "state after resume");
    },
  },
  {
    id: "suspend.stops-workload",
    level: "MUST",
    capability: "suspend",
    sentence: "While suspended a counter inside does not move; resumed it goes on where it was.",
    async run(context) {
      const sandbox = await context.awake();
      const process = await startedCommand(sandbox, { command: countingCommand });
      await claimSoon(async () => (await counted(sandbox)) > 2, "the counter moves");
      await sandbox.suspend();
      await pause(30);
      const before = await counted(sandbox);
      await pause(400);
      claimEqual(await counted(sandbox), before, "the counter while suspended");
      claim(await isOpenAfter(process.wait(), 1), "the command has not ended");
      await sandbox.resume();
      await claimSoon(async () => (await counted(sandbox)) > before + 1, "the counter moves again");
      await process.kill();
    },
  },
  {
    id: "suspend.idempotent",
    level: "MUST",
    capability: "suspend",
    sentence: "Suspending and resuming twice is as once, and tells how long it took.",
    async run(context) {
      const sandbox = await context.awake();
      for (const act of [sandbox.suspend, sandbox.suspend, sandbox.resume, sandbox.resume]) {
        const { milliseconds } = await act.call(sandbox);
        claim(milliseconds >= 0 && milliseconds < 5000, `${milliseconds} ms`);
      }
      claimEqual(await printed(sandbox, "echo works"), "works\n", "afterwards");
      await sandbox.suspend();
      claimEqual((await sandbox.status()).state, "suspended", "state");
    },
  },
  {
    id: "suspend.files",
    level: "MUST",
    capability: "filesWhileSuspended",
    sentence: "Every file verb works while the sandbox is suspended, and wakes nothing.",
    async run(context) {
      const sandbox = await context.create();
      const { session } = sandbox;
      await writeText(sandbox, "/workspace/d/file", "asleep");
      claimEqual(await readText(sandbox, "/workspace/d/file"), "asleep", "read");
      claimEqual((await session.stat({ path: "/workspace/d/file" }))?.size, 6, "stat");
      claimEqual((await session.listTree({ path: "/workspace/d" })).length, 1, "scan");
      claimEqual((await fetched(sandbox, ["/workspace/d/file"]))[0]?.end, 6, "fetch");
      const content = noise(10);
      await session.placeEntries({ entries: [{ kind: "file", path: "/workspace/placed", mode: 0o600, content }] });
      claimEqual(await session.deleteFile({ path: "/workspace/d", recursive: true }), true, "delete");
      claimEqual((await sandbox.status()).state, "suspended", "state");
    },
  },
  {
    id: "suspend.spawn",
    level: "MUST",
    capability: "suspend",
    sentence: "A command that is spawned while suspended begins at resume, and runs once.",
    async run(context) {
      const sandbox = await context.create();
      const process = await sandbox.session.spawn({ command: "echo ran >> /workspace/runs; echo done" });
      claim(await isOpenAfter(process.wait(), 300), "it ran while suspended");
      claimEqual(await readText(sandbox, "/workspace/runs"), null, "what it did while suspended");
      await sandbox.resume();
      claimEqual([await outputOf(process), await process.wait()], ["done\n", ended0], "outcome");
      claimEqual(await readText(sandbox, "/workspace/runs"), "ran\n", "what it did");
    },
  },
  {
    id: "suspend.first-command",
    level: "MUST",
    capability: "suspend",
    sentence: "The first command after a resume works, every time (first call after standby fails).",
    async run(context) {
      const sandbox = await context.create();
      for (let round = 0; round < 10; round++) {
        await sandbox.resume();
        claimEqual(await printed(sandbox, `echo ${round}`), `${round}\n`, `round ${round}`);
        await sandbox.suspend();
      }
    },
  },
  {
    id: "suspend.no-file-lost",
    level: "MUST",
    capability: "suspend",
    sentence: "Ten rounds of writing, suspending and resuming lose no file (files lost after a second pause).",
    async run(context) {
      const sandbox = await context.awake();
      for (let round = 1; round <= 10; round++) {
        await sandbox.session.writeBinaryFile({ path: `/workspace/r/${round}`, content: noise(50_000, round) });
        await printed(sandbox, `echo ${round} >> /workspace/log`);
        await sandbox.suspend();
        await sandbox.resume();
        for (let earlier = 1; earlier <= round; earlier++)
          claimBytes(
            await sandbox.session.readBinaryFile({ path: `/workspace/r/${earlier}` }),
            noise(50_000, earlier),
            `file ${earlier} in round ${round}`,
          );
      }
      claimEqual((await readText(sandbox, "/workspace/log"))?.split("\n").length, 11, "lines that commands wrote");
    },
  },
  {
    id: "suspend.running-command",
    level: "MUST",
    capability: "suspend",
    sentence: "A command across a suspension keeps its output and exit, told to the handle that it had.",
    async run(context) {
      const sandbox = await context.awake();
      const process = await sandbox.session.spawn({ command: "echo before; sleep 0.3; echo after; exit 8" });
      await pause(100);
      await sandbox.suspend();
      await pause(500);
      claim(await isOpenAfter(process.wait(), 1), "it ended while suspended");
      await sandbox.resume();
      const outcome = [await outputOf(process), await process.wait()];
      claimEqual(outcome, ["before\nafter\n", { type: "exited", code: 8 }], "outcome");
    },
  },
  {
    id: "suspend.input",
    level: "MUST",
    capability: "suspend",
    sentence: "What is written to standard input before, during and after a suspension arrives in order.",
    async run(context) {
      const sandbox = await context.awake();
      const process = await sandbox.session.spawn({ command: "cat", stdin: "open" });
      await process.writeStdin(Buffer.from("one "));
      await sandbox.suspend();
      const during = process.writeStdin(Buffer.from("two "));
      await pause(50);
      await sandbox.resume();
      await during;
      await process.writeStdin(Buffer.from("three"));
      await process.closeStdin();
      claimEqual(await outputOf(process), "one two three", "output");
    },
  },
  {
    id: "suspend.maintenance",
    level: "MUST",
    capability: "suspend",
    sentence: "Maintenance commands run while the sandbox is suspended, and wake nothing.",
    async run(context) {
      const sandbox = await context.create();
      claimEqual(await printed(sandbox, "echo maintained", { scope: "maintenance" }), "maintained\n", "output");
      claimEqual((await sandbox.status()).state, "suspended", "state");
    },
  },
  {
    id: "suspend.kill",
    level: "MUST",
    capability: "suspend",
    sentence: "`kill` ends a command also while the sandbox is suspended, at the latest when it is resumed.",
    async run(context) {
      const sandbox = await context.awake();
      const process = await startedCommand(sandbox, { command: "echo on; sleep 30" });
      await sandbox.suspend();
      await process.kill();
      await pause(700);
      await sandbox.resume();
      claimEqual((await process.wait()).type, "signalled", "exit");
    },
  },
  {
    id: "suspend.clock",
    level: "MUST",
    capability: "clock",
    sentence: "Right after a suspension the clock inside is right (clock after resume).",
    async run(context) {
      const sandbox = await context.awake();
      await printed(sandbox, "true");
      await sandbox.suspend();
      await pause(1500);
      await sandbox.resume();
      const before = Date.now();
      const inside = Number(await printed(sandbox, "date +%s%3N"));
      claim(inside >= before - 500 && inside <= Date.now() + 500, `the clock inside is ${inside - before} ms away`);
    },
  },
];
