import { execFile, execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { frameTypes } from "@exoloop/sandbox/providers/local/frames";
import type { SandboxProcess } from "@exoloop/sandbox/session";
import { buildGuest } from "./guest-build.ts";
import { collect, until } from "./test-host.ts";
import { type TestSupervisor, openTestSupervisor } from "./test-supervisor.ts";

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
let test: TestSupervisor;
beforeAll(async () => {
  test = await openTestSupervisor(isRoot ? { userId: nobody } : {});
});
afterAll(() => test.close());

const inside = (name: string): string => join(test.directory, name);

async function untilOutput(output: AsyncIterator<{ bytes: Uint8Array }>, wanted: string): Promise<string> {
  let seen = "";
  while (!seen.includes(wanted)) {
    const { done, value } = await output.next();
    if (done === true) throw new Error(`ended after ${JSON.stringify(seen)}`);
    seen += Buffer.from(value.bytes).toString();
  }
  return seen;
}

describe("terminals", () => {
  it("have a size, which changes, and one stream", async () => {
    const command =
      "tty; stty size; trap 'stty size' WINCH; echo error >&2; while read -r line; do echo got $line; done";
    const shell = await test.session.spawn({ command, terminal: { rows: 30, columns: 90 } });
    const output = shell.output[Symbol.asyncIterator]();
    expect(await untilOutput(output, "error\r\n")).toMatch(/^\/dev\/pts\/\d+\r\n30 90\r\nerror\r\n$/);
    await shell.resizeTerminal({ rows: 41, columns: 101 });
    await shell.writeStdin(Buffer.from("one\n"));
    expect(await untilOutput(output, "got one")).toContain("41 101");
    await shell.closeStdin();
    expect(await shell.wait()).toEqual({ type: "exited", code: 0 });
  });

  it("control the command: Ctrl-C interrupts what runs in front", async () => {
    const shell = await test.session.spawn({ command: "echo on; sleep 400", terminal: { rows: 10, columns: 10 } });
    await untilOutput(shell.output[Symbol.asyncIterator](), "on");
    await shell.writeStdin(Buffer.from("\x03"));
    expect(await shell.wait()).toEqual({ type: "signalled", signal: 2 });
  });

  it("are refused where there is none, and in sizes that are none", async () => {
    const plain = await test.session.spawn({ command: "cat", stdin: "open" });
    await expect(plain.resizeTerminal({ rows: 1, columns: 1 })).rejects.toMatchObject({ code: "failed" });
    await expect(plain.resizeTerminal({ rows: 0, columns: 1 })).rejects.toThrow("1 to 1000");
    await plain.closeStdin();
    await plain.wait();
  });
});

describe("standard input", () => {
  it("stays open, and holds its writer back", async () => {
    const cat = await test.session.spawn({ command: "read -r line; echo $line; sleep 0.4; wc -c", stdin: "open" });
    const output = cat.output[Symbol.asyncIterator]();
    expect(await cat.writeStdin(Buffer.from("first\n"))).toBe(true);
    expect(await untilOutput(output, "first")).toBe("first\n");
    const before = performance.now();
    expect(await cat.writeStdin(Buffer.alloc(1 << 20))).toBe(true);
    expect(performance.now() - before).toBeGreaterThan(200);
    await cat.closeStdin();
    expect(await untilOutput(output, "\n")).toBe(`${1 << 20}\n`);
    expect(await cat.wait()).toEqual({ type: "exited", code: 0 });
    expect(await cat.writeStdin(Buffer.from("late"))).toBe(false);
  });
});

describe("signals", () => {
  it("reach the whole process group", async () => {
    const command =
      "trap 'echo one' USR1; bash -c 'trap \"echo two; exit\" USR1; echo on; while :; do sleep 0.01; done' 2>/dev/null; echo end";
    const running = await test.session.spawn({ command });
    const output = running.output[Symbol.asyncIterator]();
    await untilOutput(output, "on");
    expect(await running.signal(10)).toBe(true);
    expect((await untilOutput(output, "end")).split("\n").filter(Boolean).toSorted()).toEqual(["end", "one", "two"]);
    await running.wait();
    expect(await running.signal(10)).toBe(false);
    await expect(running.signal(0)).rejects.toThrow("1 to 64");
  });

  it("stop and continue the workload, but not what is ours", async () => {
    const count = 'while :; do echo x >> "$WORKSPACE/count"; sleep 0.01; done';
    const counter = await test.session.spawn({ command: count });
    const connection = await test.connect();
    const size = (): number => (existsSync(inside("count")) ? statSync(inside("count")).size : 0);
    await until(() => size() > 3, "it counts");
    await connection.write(frameTypes.suspend);
    expect((await connection.read())?.type).toBe(frameTypes.end);
    const stopped = size();
    const waiting = test.session.run({ command: "echo woken" });
    expect((await test.session.run({ command: "echo ours", scope: "maintenance" })).stdout).toBe("ours\n");
    expect(size()).toBe(stopped);
    await connection.write(frameTypes.resume);
    expect((await connection.read())?.type).toBe(frameTypes.end);
    expect((await waiting).stdout).toBe("woken\n");
    await until(() => size() > stopped, "it counts again");
    connection.close();
    await counter.kill();
  });
});

describe("output", () => {
  const loud = "head -c 40000000 /dev/zero | tr '\\0' y; echo end";

  it("is kept for the latest 16 MiB, and what is missing is told", async () => {
    const first = await test.session.spawn({ command: loud, commandId: "loud" });
    expect(await first.wait()).toEqual({ type: "exited", code: 0 });
    const again = await test.session.attachCommand({ commandId: "loud", byteOffset: 1000 });
    let missing = 0;
    let seen = 0;
    let last = "";
    for await (const chunk of again?.output ?? []) {
      missing += chunk.missingBytes ?? 0;
      seen += chunk.bytes.length;
      last = last.slice(-9) + Buffer.from(chunk.bytes).toString();
    }
    expect(last.endsWith("yend\n")).toBe(true);
    expect(1000 + missing + seen).toBe(40_000_004);
    expect(seen).toBeGreaterThan(15 << 20);
    expect(seen).toBeLessThanOrEqual(16 << 20);
  });

  it("is joined at any byte", async () => {
    await test.session.run({ command: "printf 0123456789; sleep 0.1; printf abc >&2", commandId: "digits" });
    for (const offset of [0, 1, 9, 10, 12, 13, 99]) {
      const joined = await test.session.attachCommand({ commandId: "digits", byteOffset: offset });
      expect(await collect(joined as SandboxProcess)).toBe("0123456789abc".slice(offset));
    }
    expect(await test.session.attachCommand({ commandId: "unknown", byteOffset: 0 })).toBeNull();
  });

  it("of all commands together is kept for 64 MiB", async () => {
    for (let number = 0; number < 6; number++) await test.session.run({ command: loud, commandId: `loud${number}` });
    const status = readFileSync(`/proc/${test.child.pid}/status`, "utf8");
    expect(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1])).toBeLessThan(120 << 10);
    expect((await test.session.listCommands()).find(({ commandId }) => commandId === "loud5")?.outputBytes).toBe(
      40_000_004,
    );
  });

  it("does not wait for a reader who is behind", async () => {
    const running = await test.session.spawn({ command: `${loud}; touch "$WORKSPACE/done"` });
    await until(() => existsSync(inside("done")), "the command ran to its end");
    expect(await running.wait()).toEqual({ type: "exited", code: 0 });
  });
});

describe("ports", () => {
  it("are connected to, in both directions, until both sides are closed", async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("data", (bytes) => socket.write(bytes));
      socket.on("end", () => socket.end("bye"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const connection = await test.session.connectPort({ port });
    const writer = connection?.writable.getWriter();
    const sent = Buffer.alloc(3 << 20, "z");
    const writing = writer?.write(sent).then(() => writer.close());
    const parts = [];
    for await (const part of connection?.readable ?? []) parts.push(part);
    await writing;
    const received = Buffer.concat(parts);
    expect(received.length).toBe(sent.length + 3);
    expect(received.subarray(-3).toString()).toBe("bye");
    await new Promise((resolve) => server.close(resolve));
    expect(await test.session.connectPort({ port })).toBeNull();
  });
});

describe("what the workload does to us", () => {
  it("is listed, and who started it", async () => {
    const command = "(exec -a odd sleep 300) & setsid sleep 301 & sleep 302";
    const running = await test.session.spawn({ command, commandId: "lister" });
    await until(async () => (await test.session.listProcesses()).length >= 3, "the processes are there");
    const listed = (await test.session.listProcesses()).filter(({ commandId }) => commandId === "lister");
    expect(listed.map(({ name }) => name).toSorted()).toEqual(["bash", "sleep", "sleep", "sleep"]);
    await running.kill();
    const left = async () => (await test.session.listProcesses()).filter(({ name }) => name === "sleep");
    await until(async () => (await left()).length === 0, "all of them are gone");
  });

  it("does not matter: the waiting launcher stopped or killed, what moves files stopped or killed", async () => {
    const stop = "for p in $(pgrep -x 'launch|transfer'); do kill -STOP $p; done";
    for (const signal of ["STOP", "KILL", "KILL", "KILL"]) {
      await test.session.run({ command: stop.replace("STOP", signal) });
      expect((await test.session.run({ command: "echo one" })).stdout).toBe("one\n");
      await test.session.writeBinaryFile({ path: "/workspace/one", content: Buffer.from(signal) });
      expect(Buffer.from((await test.session.readBinaryFile({ path: "/workspace/one" })) ?? []).toString()).toBe(
        signal,
      );
    }
    expect(() => execFileSync("cat", [`/proc/${test.child.pid}/environ`], { uid: nobody, stdio: "pipe" })).toThrow(
      "denied",
    );
  });
});

/**
 * Stops every child of this process once, as soon as it is there; says how many were not yet what they were to become.
 * Now and then it comes late and stops the command itself, which has a deadline for that.
 */
const stopper = `
import os, sys, time
path, seen, early, end = "/proc/%s/task/%s/children" % (sys.argv[1], sys.argv[1]), set(), 0, time.time() + 3
while time.time() < end:
    for pid in open(path).read().split():
        if pid in seen: continue
        seen.add(pid)
        try:
            os.kill(int(pid), 19)
            early += open("/proc/%s/comm" % pid).read() == "supervisor\\n"
        except OSError: pass
print(early)
`;

describe("a process that is stopped before it is a launcher, or serves files", () => {
  it("holds nobody: it goes on", async () => {
    const own = await openTestSupervisor(isRoot ? { userId: nobody } : {});
    const stopping = promisify(execFile)("python3", ["-c", stopper, String(own.child.pid)]);
    let rounds = 0;
    for (const end = performance.now() + 3_000; performance.now() < end; rounds++) {
      const { exit, stdout } = await own.session.run({ command: "echo one", scope: "maintenance", timeoutMs: 1_000 });
      if (exit.type !== "timed_out") expect([exit, stdout]).toEqual([{ type: "exited", code: 0 }, "one\n"]);
      (await own.connect("transfer")).close();
    }
    expect(Number((await stopping).stdout)).toBeGreaterThan(0);
    expect(rounds).toBeGreaterThan(10);
    await own.close();
  }, 20_000);
});

describe("a launcher that is killed with its order in hand", () => {
  /** So many die before one becomes the command. */
  async function openFatal(deaths: number): Promise<TestSupervisor & { launched(): number }> {
    const directory = mkdtempSync(join(tmpdir(), "exoloop-launch-"));
    const [launch, count] = [join(directory, "launch"), join(directory, "count")];
    const die = `if test $(wc -l < ${count}) -le ${deaths}; then read -r -N 1 go; kill -9 $$; fi`;
    writeFileSync(launch, `#!/bin/bash\necho >> ${count}\n${die}\nexec ${buildGuest().launch} "$@"\n`);
    writeFileSync(count, "");
    for (const path of [directory, launch, count]) chmodSync(path, 0o777);
    const opened = await openTestSupervisor({ ...(isRoot ? { userId: nobody } : {}), programs: { launch } });
    return { ...opened, launched: () => readFileSync(count).length };
  }

  it("has never begun: another one does, with the same input", async () => {
    const own = await openFatal(3);
    const { exit, stdout } = await own.session.run({ command: "echo begun; cat", stdin: Buffer.from("input") });
    expect([exit, stdout]).toEqual([{ type: "exited", code: 0 }, "begun\ninput"]);
    await own.close();
  });

  it("has successors, but not without end, and none when somebody ended the command", async () => {
    const own = await openFatal(1000);
    expect((await own.session.run({ command: "echo never" })).exit).toEqual({ type: "signalled", signal: 9 });
    expect(own.launched()).toBeGreaterThan(2);
    expect(own.launched()).toBeLessThan(20);
    await own.close();
    const slow = await openFatal(0);
    await slow.session.run({ command: "true" });
    const running = await slow.session.spawn({ command: "sleep 30", timeoutMs: 30 });
    expect(await running.wait()).toEqual({ type: "timed_out" });
    await slow.close();
  });
});
