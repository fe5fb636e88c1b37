/** What a workload may do to its machine out of malice or by mistake, as data: for the tests and for the bench. @module */
import type { Sandbox } from "@exoloop/sandbox/contract";

export interface Attack {
  readonly id: string;
  /** What it does, as a sentence without "it". */
  readonly sentence: string;
  /** Returns what was seen. `whole`: at its full size, which takes long; otherwise large enough to show the wall. */
  attempt(sandbox: Sandbox, whole: boolean): Promise<string>;
  /** What must have been seen. */
  readonly contained: RegExp;
}

async function runFor(sandbox: Sandbox, command: string, milliseconds: number): Promise<string> {
  const running = await sandbox.session.spawn({ command, timeoutMs: milliseconds });
  let text = "";
  for await (const chunk of running.output) text = (text + Buffer.from(chunk.bytes).toString()).slice(-400);
  const exit = await running.wait();
  return `${JSON.stringify(exit)} ${text}`;
}

function shell(id: string, sentence: string, command: string, contained: RegExp, milliseconds = 4_000): Attack {
  return { id, sentence, contained, attempt: (sandbox) => runFor(sandbox, command, milliseconds) };
}

const bytesOf = (whole: boolean): number => (whole ? 10_240 : 512) * 1024 ** 2;
const filesOf = (whole: boolean): number => (whole ? 1_000_000 : 3_000);

/** Every byte is taken by the client, which keeps none. */
const output: Attack = {
  id: "output",
  sentence: "prints ten gigabytes",
  contained: /^all of it arrived or was told as missing$/,
  async attempt(sandbox, whole) {
    const command = `yes "a line of output that nobody will ever read" | head -c ${bytesOf(whole)}`;
    const running = await sandbox.session.spawn({ command });
    let bytes = 0;
    for await (const chunk of running.output) bytes += chunk.bytes.length + (chunk.missingBytes ?? 0);
    await running.wait();
    return bytes === bytesOf(whole) ? "all of it arrived or was told as missing" : `${bytes} bytes`;
  },
};

/** Nobody reads: the sandbox holds it back, or keeps the latest and lets the rest go. */
const unreadOutput: Attack = {
  id: "unread-output",
  sentence: "prints without end to a reader that does not read",
  contained: /^ended$/,
  async attempt(sandbox) {
    const running = await sandbox.session.spawn({ command: "exec yes" });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await running.kill();
    await running.wait();
    return "ended";
  },
};

const signals: Attack = {
  id: "ignored-signals",
  sentence: "ignores every signal that can be ignored",
  contained: /^ended within two seconds$/,
  async attempt(sandbox) {
    const command = `trap '' HUP INT QUIT TERM TSTP USR1 USR2 ALRM; echo ready; while :; do sleep 1; done`;
    const running = await sandbox.session.spawn({ command });
    await running.output[Symbol.asyncIterator]().next();
    const started = performance.now();
    await running.kill();
    await running.wait();
    const milliseconds = performance.now() - started;
    return milliseconds < 2_000 ? "ended within two seconds" : `ended after ${Math.round(milliseconds)} ms`;
  },
};

const tinyFiles: Attack = {
  id: "tiny-files",
  sentence: "writes a million tiny files",
  contained: /"(exited|signalled)"/,
  attempt: (sandbox, whole) =>
    runFor(
      sandbox,
      `python3 -c '
import os
for i in range(${filesOf(whole)}):
    if i % 1000 == 0: os.makedirs(f"tiny/{i // 1000}", exist_ok=True)
    open(f"tiny/{i // 1000}/{i}", "w").write("x")
'`,
      whole ? 300_000 : 60_000,
    ),
};

/** What the same command of a neighbour differs by between two seconds. */
export const control: Attack = {
  id: "nothing",
  sentence: "does nothing",
  contained: /^nothing$/,
  async attempt() {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return "nothing";
  },
};

export const attacks: readonly Attack[] = [
  shell(
    "fork-bomb",
    "starts processes without end",
    "bomb() { bomb | bomb & }; bomb; sleep 3; echo over",
    /Resource temporarily unavailable/,
  ),
  shell(
    "memory",
    "takes more memory than it has",
    `python3 -c 'x = bytearray(8 << 30); [x.__setitem__(i, 1) for i in range(0, len(x), 4096)]; print("took")'; echo status $?`,
    /status (137|1)\b/,
    20_000,
  ),
  shell(
    "processor",
    "computes on every core",
    "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait",
    /timed_out/,
    3_000,
  ),
  shell(
    "disk",
    "fills the disk",
    "for i in $(seq 100); do head -c 16M /dev/zero > big$i; done; echo over",
    /"signalled"/,
    60_000,
  ),
  shell(
    "disk-one-file",
    "fills the disk with one file",
    "head -c 4G /dev/zero > huge; echo status $?",
    /status (1|153)\b|"signalled"/,
    60_000,
  ),
  shell(
    "disk-in-memory",
    "fills the file systems that are memory",
    "for d in /tmp /home/agent /dev/shm; do head -c 2G /dev/zero > $d/fill && echo FILLED; rm -f $d/fill; done 2>&1; echo over",
    /^(?!.*FILLED).*(over|"signalled")/s,
    60_000,
  ),
  shell(
    "inodes",
    "makes more files than it may",
    `python3 -c '
import os
for i in range(40000):
    if i % 2000 == 0: os.makedirs(f"many/{i // 2000}", exist_ok=True)
    os.mknod(f"many/{i // 2000}/{i}")
'; echo over`,
    /"signalled"/,
    60_000,
  ),
  output,
  unreadOutput,
  shell(
    "descriptors",
    "opens files until there are no more",
    `python3 -c '
import os
for child in range(8):
    if os.fork() == 0:
        try:
            while True: os.open("/dev/null", 0)
        except OSError as error: print(error.errno, flush=True)
        os._exit(0)
for child in range(8): os.wait()
'`,
    /24/,
    20_000,
  ),
  tinyFiles,
  shell(
    "zombies",
    "leaves dead processes that nobody waits for",
    `python3 -c '
import os, time
for i in range(60):
    if os.fork() == 0: os._exit(0)
time.sleep(1)
'; (for i in 1 2 3; do (sleep 0.1 &) ; done); sleep 0.3; grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l`,
    / 0\n$/,
    20_000,
  ),
  signals,
];
