import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type TestHost, collect, openTestHost, until } from "./test-host.ts";

let test: TestHost;
let sandbox: Sandbox;
beforeAll(async () => {
  test = await openTestHost();
  sandbox = await test.sandbox({ environment: { GREETING: "hello" } });
});
afterAll(() => test.close());

const run = (command: string, more: object = {}) => sandbox.session.run({ command, ...more });

describe("commands", () => {
  it("keep the order of both streams and report the exit code", async () => {
    const process = await sandbox.session.spawn({
      command: "for i in 1 2 3; do echo o$i; sleep 0.02; echo e$i >&2; sleep 0.02; done; exit 7",
    });
    const seen: string[] = [];
    for await (const chunk of process.output)
      seen.push(`${chunk.stream}:${Buffer.from(chunk.bytes).toString().trim()}`);
    expect(seen).toEqual(["stdout:o1", "stderr:e1", "stdout:o2", "stderr:e2", "stdout:o3", "stderr:e3"]);
    expect(await process.wait()).toEqual({ type: "exited", code: 7 });
  });

  it("report a signal as a signal", async () => {
    expect((await run("kill -9 $$")).exit).toEqual({ type: "signalled", signal: 9 });
  });

  it("get the sandbox's environment, their own over it, and the working directory", async () => {
    const { stdout } = await run("echo $GREETING $EXTRA $WORKSPACE $PWD", {
      environment: { EXTRA: "more" },
      workingDirectory: "/tmp",
    });
    expect(stdout).toBe("hello more /workspace /tmp\n");
    expect((await run("echo $GREETING", { environment: { GREETING: "bye" } })).stdout).toBe("bye\n");
    expect((await run("true", { workingDirectory: "/nowhere" })).exit).toEqual({ type: "exited", code: 126 });
  });

  it("count characters, and sort by their numbers", async () => {
    const { stdout } = await run(
      "text=äß; echo ${#text}; printf 'b\\nä\\nB\\n' | sort | tr -d '\\n'; python3 -c 'print(len(\"ä\"))'",
    );
    expect(stdout).toBe("2\nBbä1\n");
  });

  it("find the daemon's Node at the end of PATH", async () => {
    const { stdout } = await run("/opt/exoloop/bin/node -p process.version");
    expect(stdout.trim()).toBe(process.version);
  });

  it("are killed with their whole tree when their time is over", async () => {
    const { exit } = await run("setsid sleep 333 & sleep 334 & sleep 335", { timeoutMs: 200 });
    expect(exit).toEqual({ type: "timed_out" });
    expect((await run("ps -e -o args= | grep -c '[s]leep 33'")).stdout).toBe("0\n");
  });

  it("end when they are aborted, also when they ignore SIGTERM", async () => {
    const controller = new AbortController();
    const process = await sandbox.session.spawn({
      command: "trap '' TERM; echo on; sleep 336 & wait; sleep 337",
      abortSignal: controller.signal,
    });
    const first = await process.output[Symbol.asyncIterator]().next();
    expect(first.done).toBe(false);
    controller.abort();
    expect(await process.wait()).toEqual({ type: "signalled", signal: 9 });
  });

  it("read standard input to its end", async () => {
    const bytes = Buffer.alloc(3 << 20, "x");
    expect((await run("wc -c", { stdin: bytes })).stdout).toBe(`${bytes.length}\n`);
    expect((await run("wc -c")).stdout).toBe("0\n");
    const empty = new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
    expect((await run("cat", { stdin: empty })).exit).toEqual({ type: "exited", code: 0 });
    expect((await run("head -c 1", { stdin: bytes })).stdout).toBe("x");
  });

  it("keep the latest of an output without bounds, and say what is missing", async () => {
    const command = "head -c 50000000 /dev/zero | tr '\\0' y; echo the end";
    await (await sandbox.session.spawn({ command, commandId: "loud" })).wait();
    const { exit, stdout } = await run(command, { commandId: "loud" });
    expect(exit).toEqual({ type: "exited", code: 0 });
    const [note, missing] = /^\n\[(\d+) bytes of output are missing here\]\n/.exec(stdout) ?? [];
    expect(stdout.length - (note ?? "").length + Number(missing)).toBe(50_000_008);
    expect(stdout.length).toBeGreaterThan(15 << 20);
    expect(stdout.length).toBeLessThanOrEqual((16 << 20) + 100);
    expect(stdout.endsWith("ythe end\n")).toBe(true);
  });

  it("run on a terminal, with standard input held open, and hear signals", async () => {
    const shell = await sandbox.session.spawn({ command: "tty; stty size; cat", terminal: { rows: 20, columns: 70 } });
    await shell.writeStdin(Buffer.from("typed\n"));
    await shell.closeStdin();
    // The terminal's echo of what is typed comes when it comes.
    const lines = (await collect(shell)).split("\r\n").toSorted();
    expect(lines).toEqual(["", expect.stringMatching(/^\/dev\/pts\/\d+$/), "20 70", "typed", "typed"]);
    const waiting = await sandbox.session.spawn({ command: "exec cat", stdin: "open" });
    await until(async () => (await sandbox.session.listProcesses()).some(({ name }) => name === "cat"), "it runs");
    expect(await waiting.signal(15)).toBe(true);
    expect(await waiting.wait()).toEqual({ type: "signalled", signal: 15 });
  });

  it("listen on ports that are connected to from outside", async () => {
    const serve = "require('net').createServer((socket) => socket.end('hello')).listen(8123, () => console.log('on'))";
    const server = await sandbox.session.spawn({ command: `/opt/exoloop/bin/node -e "${serve}"`, commandId: "server" });
    await server.output[Symbol.asyncIterator]().next();
    const connection = await sandbox.session.connectPort({ port: 8123 });
    const parts: Uint8Array[] = [];
    for await (const part of connection?.readable ?? []) parts.push(part);
    await connection?.writable.close();
    expect(Buffer.concat(parts).toString()).toBe("hello");
    expect(await sandbox.session.connectPort({ port: 8124 })).toBeNull();
    await server.kill();
  });

  it("finish although what they left behind holds their output open", async () => {
    const { exit, stdout } = await run("sleep 338 & echo done");
    expect([exit, stdout]).toEqual([{ type: "exited", code: 0 }, "done\n"]);
    await run("pkill -f 'sleep 338'");
  });

  it("refuse what cannot be a command", async () => {
    await expect(run("x".repeat(200_000))).rejects.toMatchObject({ code: "too_large" });
    await expect(run("echo", { environment: { "A=B": "" } })).rejects.toThrow("environment variable");
  });

  it("do not run twice under one identifier", async () => {
    await run("echo one >> /tmp/count; cat /tmp/count", { commandId: "only-once" });
    expect((await run("echo two >> /tmp/count", { commandId: "only-once" })).stdout).toBe("one\n");
    expect((await run("cat /tmp/count")).stdout).toBe("one\n");
  });
});

describe("re-attaching", () => {
  it("joins a running and a finished command at a byte offset, from another connection", async () => {
    const process = await sandbox.session.spawn({
      commandId: "joined",
      command: "echo -n 0123456789; read -t 0.3 x < <(sleep 1); echo -n abcdef >&2",
    });
    const other = await createLocalProvider({ socketPath: test.host.socketPath });
    const same = await other.attach(sandbox.reference);
    const running = await same.session.attachCommand({ commandId: "joined", byteOffset: 4 });
    expect(running && (await collect(running))).toBe("456789abcdef");
    expect(await running?.wait()).toEqual(await process.wait());
    const finished = await same.session.attachCommand({ commandId: "joined", byteOffset: 12 });
    expect(finished && (await collect(finished))).toBe("cdef");
    expect(await finished?.wait()).toEqual({ type: "exited", code: 0 });
    expect(await same.session.attachCommand({ commandId: "never", byteOffset: 0 })).toBeNull();
    await other.close();
  });

  it("goes on across a daemon that was killed", async () => {
    const process = await sandbox.session.spawn({
      commandId: "survivor",
      command: "for i in $(seq 30); do echo line $i; sleep 0.05; done",
    });
    let output = "";
    const reading = (async () => {
      for await (const chunk of process.output) output += Buffer.from(chunk.bytes).toString();
    })();
    await until(() => output.includes("line 5"), "some of it has arrived");
    expect((await sandbox.status()).runningCommands).toContain("survivor");
    await test.crash();
    await test.restart();
    const expected = Array.from({ length: 30 }, (_, index) => `line ${index + 1}\n`).join("");
    await reading;
    expect(output).toBe(expected);
    expect(await process.wait()).toEqual({ type: "exited", code: 0 });
    const again = await sandbox.session.attachCommand({ commandId: "survivor", byteOffset: 7 });
    expect(again && (await collect(again))).toBe(expected.slice(7));
  });
});
