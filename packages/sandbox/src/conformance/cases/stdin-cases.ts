/** Cases about standard input and terminals. @module */
import { claim, claimBytes, claimEqual, claimFileError, claimSoon, isOpenAfter } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chunksOf, ended0, noise, outputOf, printed, startedCommand, text } from "../steps.ts";

const terminal = { rows: 30, columns: 100 };

const stdinCases: readonly ConformanceCase[] = [
  {
    id: "stdin.empty",
    level: "MUST",
    capability: null,
    sentence: "Without standard input a command reads the end at once and does not hang.",
    async run(context) {
      claimEqual(await printed(await context.awake(), "cat; echo end"), "end\n", "output");
    },
  },
  {
    id: "stdin.bytes",
    level: "MUST",
    capability: null,
    sentence: "Three megabytes of standard input arrive whole, then the end.",
    async run(context) {
      const { session } = await context.awake();
      const content = noise(3 << 20);
      const chunks = await chunksOf(await session.spawn({ command: "cat", stdin: content }));
      claimBytes(Buffer.concat(chunks.map(({ bytes }) => bytes)), content, "what came back");
    },
  },
  {
    id: "stdin.stream",
    level: "MUST",
    capability: null,
    sentence: "A stream is fed to standard input until it ends.",
    async run(context) {
      const stdin = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const part of ["one ", "two ", "three"]) controller.enqueue(text(part));
          controller.close();
        },
      });
      claimEqual(await printed(await context.awake(), "cat", { stdin }), "one two three", "output");
    },
  },
  {
    id: "stdin.open",
    level: "MUST",
    capability: null,
    sentence: "Open standard input is written to while the command runs, and closed when asked.",
    async run(context) {
      const { session } = await context.awake();
      const command = 'read first; echo "got $first"; cat; echo end';
      const process = await session.spawn({ command, stdin: "open" });
      claim(await isOpenAfter(process.wait(), 100), "it waits for input");
      claimEqual(await process.writeStdin(text("hel")), true, "first write");
      claimEqual(await process.writeStdin(text("lo\nrest\n")), true, "second write");
      await process.closeStdin();
      claimEqual(await outputOf(process), "got hello\nrest\nend\n", "output");
      claimEqual(await process.wait(), ended0, "exit");
    },
  },
  {
    id: "stdin.closed",
    level: "MUST",
    capability: null,
    sentence: "Writing to a standard input that nobody reads any more answers false.",
    async run(context) {
      const process = await (await context.awake()).session.spawn({ command: "true", stdin: "open" });
      await process.wait();
      claimEqual(await process.writeStdin(text("late")), false, "write after the end");
    },
  },
  {
    id: "stdin.back-pressure",
    level: "MUST",
    capability: null,
    sentence: "A command that does not read holds its writer back, and its end lets the writer go.",
    async run(context) {
      const process = await startedCommand(await context.awake(), { command: "echo on; sleep 30", stdin: "open" });
      const writing = process.writeStdin(noise(32 << 20));
      writing.catch(() => {});
      claim(await isOpenAfter(writing, 400), "32 MB were taken although nobody reads");
      await process.kill();
      claimEqual(await writing, false, "the write, after the command ended");
    },
  },
  {
    id: "stdin.unread",
    level: "MUST",
    capability: null,
    sentence: "A command that does not read its input to the end still ends as it does.",
    async run(context) {
      const { session } = await context.awake();
      const { exit, stdout } = await session.run({
        command: "read x; echo $x; exit 6",
        stdin: text(`a\n${"y\n".repeat(500_000)}`),
      });
      claimEqual([exit, stdout], [{ type: "exited", code: 6 }, "a\n"], "outcome");
    },
  },
];

const terminalCases: readonly ConformanceCase[] = [
  {
    id: "terminal.size",
    level: "MUST",
    capability: "terminal",
    sentence: "A command on a terminal has one, of the size asked for, and all output is `stdout`.",
    async run(context) {
      const { session } = await context.awake();
      const process = await session.spawn({ command: "test -t 1 && echo yes >&2; stty size", terminal });
      const chunks = await chunksOf(process);
      const output = Buffer.concat(chunks.map(({ bytes }) => bytes))
        .toString()
        .replaceAll("\r", "");
      claimEqual(output, "yes\n30 100\n", "output");
      claim(
        chunks.every(({ stream }) => stream === "stdout"),
        "all of it is stdout",
      );
    },
  },
  {
    id: "terminal.none",
    level: "MUST",
    capability: null,
    sentence: "A command without a terminal has none, and resizing it is refused.",
    async run(context) {
      const sandbox = await context.awake();
      const process = await startedCommand(sandbox, { command: "test -t 1 || echo none; sleep 30" });
      await claimFileError(process.resizeTerminal(terminal), "failed", "resizing");
      await process.kill();
      claimEqual(await printed(sandbox, "test -t 1 || echo none"), "none\n", "output");
    },
  },
  {
    id: "terminal.input",
    level: "MUST",
    capability: "terminal",
    sentence: "A terminal takes input, and Ctrl-D ends it.",
    async run(context) {
      const { session } = await context.awake();
      const process = await session.spawn({ command: 'read x; echo "got $x"; cat; echo end', terminal });
      await process.writeStdin(text("hello\n"));
      let output = "";
      const reading = (async () => {
        for await (const { bytes } of process.output) output += Buffer.from(bytes).toString();
      })();
      await claimSoon(() => output.includes("got hello"), "the line is read");
      await process.closeStdin();
      await reading;
      claim(output.includes("end"), "the end of input is seen");
      claimEqual(await process.wait(), ended0, "exit");
    },
  },
  {
    id: "terminal.resize",
    level: "MUST",
    capability: "terminal",
    sentence: "A resized terminal has the new size.",
    async run(context) {
      const { session } = await context.awake();
      const process = await session.spawn({ command: "read x; stty size", terminal });
      await process.resizeTerminal({ rows: 41, columns: 121 });
      await process.writeStdin(text("go\n"));
      claim((await outputOf(process)).includes("41 121"), "the command sees the new size");
    },
  },
];

export const inputCases = [...stdinCases, ...terminalCases];
