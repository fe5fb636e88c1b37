/** Cases about commands: how they end, what they print, what they are given. @module */
import type { ConformanceCase } from "../conformance-case.ts";
import { claim, claimBytes, claimEqual, claimFileError, claimRefused, isOpenAfter } from "../claims.ts";
import { chunksOf, ended0, noise, outputOf, printed, readText } from "../steps.ts";

export const execCases: readonly ConformanceCase[] = [
  {
    id: "exec.exit-code",
    level: "MUST",
    capability: null,
    sentence: "A command's exit code is told as it is, zero or not.",
    async run(context) {
      const { session } = await context.awake();
      claimEqual((await session.run({ command: "true" })).exit, ended0, "true");
      claimEqual((await session.run({ command: "exit 7" })).exit, { type: "exited", code: 7 }, "exit 7");
      claimEqual((await session.run({ command: "false" })).exit, { type: "exited", code: 1 }, "false");
    },
  },
  {
    id: "exec.not-found",
    level: "MUST",
    capability: null,
    sentence: "A program that does not exist ends with 127 and says so on standard error.",
    async run(context) {
      const { session } = await context.awake();
      const { exit, stderr } = await session.run({ command: "no-such-program-here" });
      claimEqual(exit, { type: "exited", code: 127 }, "exit");
      claim(stderr.includes("no-such-program-here"), "standard error names the program");
    },
  },
  {
    id: "exec.not-ended-early",
    level: "MUST",
    capability: null,
    sentence: "No success is made up: a command that still runs has no exit (fabricated success).",
    async run(context) {
      const { session } = await context.awake();
      const process = await session.spawn({ command: "sleep 0.4; exit 4" });
      claim(await isOpenAfter(process.wait(), 200), "the exit was told while the command ran");
      claimEqual(await process.wait(), { type: "exited", code: 4 }, "exit");
    },
  },
  {
    id: "exec.stream-order",
    level: "MUST",
    capability: null,
    sentence: "Both streams arrive in the order in which they were written.",
    async run(context) {
      const { session } = await context.awake();
      const command = "echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three";
      const chunks = await chunksOf(await session.spawn({ command }));
      const seen = chunks.map(({ stream, bytes }) => `${stream}:${Buffer.from(bytes).toString()}`);
      claimEqual(seen, ["stdout:one\n", "stderr:two\n", "stdout:three\n"], "chunks");
    },
  },
  {
    id: "exec.streams-apart",
    level: "MUST",
    capability: null,
    sentence: "`run` tells standard output and standard error apart.",
    async run(context) {
      const { session } = await context.awake();
      const { stdout, stderr } = await session.run({ command: "echo out; echo err >&2" });
      claimEqual([stdout, stderr], ["out\n", "err\n"], "streams");
    },
  },
  {
    id: "exec.output-arrives-early",
    level: "MUST",
    capability: null,
    sentence: "Output arrives while the command runs, not when it ends.",
    async run(context) {
      const { session } = await context.awake();
      const process = await session.spawn({ command: "echo early; sleep 30" });
      const first = await process.output[Symbol.asyncIterator]().next();
      claim(first.done !== true && Buffer.from(first.value.bytes).toString() === "early\n", "the first line arrives");
      await process.kill();
    },
  },
  {
    id: "exec.binary-output",
    level: "MUST",
    capability: null,
    sentence: "Output is bytes: NUL, 0xff and broken UTF-8 arrive as they are.",
    async run(context) {
      const { session } = await context.awake();
      const chunks = await chunksOf(await session.spawn({ command: "printf '\\000\\377\\303\\012'" }));
      claimBytes(Buffer.concat(chunks.map(({ bytes }) => bytes)), new Uint8Array([0, 255, 195, 10]), "output");
    },
  },
  {
    id: "exec.large-output",
    level: "MUST",
    capability: null,
    sentence: "An output of 5 MB arrives whole (output limits).",
    async run(context) {
      const { session } = await context.awake();
      const content = noise(5 << 20);
      await session.writeBinaryFile({ path: "/workspace/big", content });
      const chunks = await chunksOf(await session.spawn({ command: "cat /workspace/big" }));
      claimBytes(Buffer.concat(chunks.map(({ bytes }) => bytes)), content, "output");
    },
  },
  {
    id: "exec.quiet-command",
    level: "MUST",
    capability: null,
    sentence: "A command that is quiet for long is not cut off (quiet long commands).",
    async run(context) {
      const sandbox = await context.awake();
      claimEqual(await printed(sandbox, "sleep 1.5; echo late"), "late\n", "output");
    },
  },
  {
    id: "exec.environment",
    level: "MUST",
    capability: null,
    sentence: "A command has the sandbox's environment, and its own over it.",
    async run(context) {
      const sandbox = await context.awake({ environment: { GREETING: "hello", OTHER: "a b" } });
      const environment = { GREETING: "bye", EXTRA: "=1" };
      claimEqual(await printed(sandbox, 'echo "$GREETING-$OTHER"'), "hello-a b\n", "the sandbox's");
      claimEqual(await printed(sandbox, 'echo "$GREETING-$EXTRA"', { environment }), "bye-=1\n", "its own");
      claimEqual(await printed(sandbox, 'echo "$GREETING"'), "hello\n", "the next command's");
    },
  },
  {
    id: "exec.malformed-environment",
    level: "MUST",
    capability: null,
    sentence: "A variable without a name, or with = in it, is refused and nothing runs.",
    async run(context) {
      const sandbox = await context.awake();
      const command = "echo x > /workspace/ran";
      await claimRefused(sandbox.session.run({ command, environment: { "A=B": "" } }), "name with =");
      await claimRefused(sandbox.session.run({ command, environment: { "": "x" } }), "empty name");
      claimEqual(await readText(sandbox, "/workspace/ran"), null, "what it would have written");
    },
  },
  {
    id: "exec.working-directory",
    level: "MUST",
    capability: null,
    sentence: "A command runs in the directory asked for, in /workspace unless told otherwise.",
    async run(context) {
      const sandbox = await context.awake();
      claimEqual(await printed(sandbox, "pwd"), "/workspace\n", "default");
      claimEqual(await printed(sandbox, "pwd", { workingDirectory: "/tmp" }), "/tmp\n", "asked for");
    },
  },
  {
    id: "exec.absent-working-directory",
    level: "MUST",
    capability: null,
    sentence: "A command whose working directory does not exist does not run, and does not succeed.",
    async run(context) {
      const sandbox = await context.awake();
      const command = "echo x > /workspace/ran";
      const outcome = await sandbox.session.run({ command, workingDirectory: "/nowhere" }).catch(() => null);
      claim(outcome === null || (outcome.exit.type === "exited" && outcome.exit.code !== 0), "it did not succeed");
      claimEqual(await readText(sandbox, "/workspace/ran"), null, "what it would have written");
    },
  },
  {
    id: "exec.nothing-carried-over",
    level: "MUST",
    capability: null,
    sentence: "Commands do not share a shell: variables, directory and exit of one do not touch the next.",
    async run(context) {
      const sandbox = await context.awake();
      await sandbox.session.run({ command: "X=1; export Y=2; cd /tmp; exit 3" });
      claimEqual(await printed(sandbox, 'echo "[$X$Y]"; pwd'), "[]\n/workspace\n", "the next command");
    },
  },
  {
    id: "exec.at-the-same-time",
    level: "MUST",
    capability: null,
    sentence: "Commands run at the same time without mixing their output or exits.",
    async run(context) {
      const { session } = await context.awake();
      const numbers = Array.from({ length: 8 }, (_, index) => index);
      const outcomes = await Promise.all(
        numbers.map((number) => session.run({ command: `echo ${number}; sleep 0.1; echo ${number}; exit ${number}` })),
      );
      for (const [number, { exit, stdout }] of outcomes.entries())
        claimEqual([exit, stdout], [{ type: "exited", code: number }, `${number}\n${number}\n`], `command ${number}`);
    },
  },
  {
    id: "exec.unicode",
    level: "MUST",
    capability: null,
    sentence: "Commands and their output hold any Unicode text.",
    async run(context) {
      const sandbox = await context.awake();
      claimEqual(await printed(sandbox, "echo 'žluťoučký 🐎 漢字'"), "žluťoučký 🐎 漢字\n", "output");
    },
  },
  {
    id: "exec.large-argument",
    level: "MUST",
    capability: null,
    sentence: "A command of 120,000 bytes runs (large files).",
    async run(context) {
      const sandbox = await context.awake();
      const word = "0123456789".repeat(12_000);
      claimEqual((await printed(sandbox, `printf %s ${word}`)).length, word.length, "size of the output");
    },
  },
  {
    id: "exec.too-large-argument",
    level: "MUST",
    capability: null,
    sentence: "A command larger than the kernel takes is refused with `too_large`, not cut.",
    async run(context) {
      const { session } = await context.awake();
      await claimFileError(session.run({ command: `echo ${"x".repeat(200_000)}` }), "too_large", "200,000 bytes");
    },
  },
  {
    id: "exec.runs-once",
    level: "MUST",
    capability: null,
    sentence: "A second spawn under one identifier joins the first: the command runs once.",
    async run(context) {
      const sandbox = await context.awake();
      const options = { commandId: "once", command: "echo one >> /workspace/runs; echo done" };
      const both = await Promise.all([sandbox.session.spawn(options), sandbox.session.spawn(options)]);
      claimEqual(await Promise.all(both.map(outputOf)), ["done\n", "done\n"], "output of both");
      claimEqual((await sandbox.session.run({ commandId: "once", command: "echo other" })).stdout, "done\n", "again");
      claimEqual(await readText(sandbox, "/workspace/runs"), "one\n", "what it did");
    },
  },
  {
    id: "exec.identifiers-differ",
    level: "MUST",
    capability: null,
    sentence: "Commands without an identifier get one each.",
    async run(context) {
      const { session } = await context.awake();
      const processes = await Promise.all([session.spawn({ command: "true" }), session.spawn({ command: "true" })]);
      claim(processes[0].commandId !== processes[1].commandId && processes[0].commandId !== "", "they differ");
      await Promise.all(processes.map((process) => process.wait()));
    },
  },
  {
    id: "exec.listed",
    level: "MUST",
    capability: null,
    sentence: "Commands are listed with scope, exit and the bytes they wrote, oldest first.",
    async run(context) {
      const { session } = await context.awake();
      await session.run({ commandId: "first", command: "printf 12345; exit 2" });
      const running = await session.spawn({ commandId: "second", command: "sleep 30", scope: "maintenance" });
      const listed = (await session.listCommands()).filter(({ commandId }) => /^(first|second)$/.test(commandId));
      const seen = listed.map(({ commandId, scope, exit, outputBytes }) => [commandId, scope, exit, outputBytes]);
      const expected = [
        ["first", "workload", { type: "exited", code: 2 }, 5],
        ["second", "maintenance", null, 0],
      ];
      claimEqual(seen, expected, "commands");
      claim(
        listed.every(({ ageMs }) => ageMs >= 0 && ageMs < 60_000),
        "their ages are milliseconds since they started",
      );
      await running.kill();
    },
  },
];
