import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNumber, encodeString, frameTypes } from "@exoloop/sandbox/providers/local/frames";
import type { FilePiece, PlacedEntry, SandboxProcess } from "@exoloop/sandbox/session";
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
const text = async (path: string): Promise<string> =>
  Buffer.from((await test.session.readBinaryFile({ path })) ?? []).toString();

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
    const command = "tty; stty size; trap 'stty size' WINCH; echo error >&2; while read -r line; do echo got $line; done";
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
    const command = "trap 'echo one' USR1; bash -c 'trap \"echo two; exit\" USR1; echo on; while :; do sleep 0.01; done'; echo end";
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
    expect((await test.session.listCommands()).find(({ commandId }) => commandId === "loud5")?.outputBytes).toBe(40_000_004);
  });

  it("does not wait for a reader who is behind", async () => {
    const running = await test.session.spawn({ command: `${loud}; touch "$WORKSPACE/done"` });
    await until(() => existsSync(inside("done")), "the command ran to its end");
    expect(await running.wait()).toEqual({ type: "exited", code: 0 });
  });
});

describe("files", () => {
  it("with a flipped bit are refused, and leave what was there", async () => {
    await test.session.writeBinaryFile({ path: "/workspace/whole", content: Buffer.from("before") });
    for (const [size, checksum] of [[5, 0], [4, 0x3610a686], [5, 0x3610a687]] as const) {
      const connection = await test.connect();
      const head = [encodeNumber(1, 1), encodeNumber(0o644, 4), encodeNumber(0, 8)];
      await connection.write(frameTypes.place, ...head, encodeString(inside("whole")), encodeString(""));
      await connection.write(frameTypes.data, Buffer.from("hello"));
      await connection.write(frameTypes.end, encodeNumber(size, 8), encodeNumber(checksum, 4));
      const answer = await connection.read();
      expect([answer?.type, answer?.payload.readInt32LE(0)]).toEqual([frameTypes.error, 74]);
      connection.close();
    }
    expect(await text("/workspace/whole")).toBe("before");
    expect((await test.session.listDirectory({ path: "/workspace" }))?.some(({ name }) => name.startsWith(".exo"))).toBe(false);
  });

  it("keep their holes in both directions", async () => {
    const pieces: FilePiece[] = [Buffer.from("begin"), { holeBytes: 50 << 20 }, Buffer.from("end"), { holeBytes: 1 << 20 }];
    async function* content(): AsyncGenerator<FilePiece> {
      yield* pieces;
    }
    const path = "/workspace/sparse";
    await test.session.placeEntries({ entries: [{ kind: "file", path, mode: 0o600, modifiedAt: 86_400_123, content: content() }] });
    const stat = lstatSync(inside("sparse"));
    expect([stat.size, stat.mtimeMs, stat.mode & 0o777]).toEqual([(51 << 20) + 8, 86_400_123, 0o600]);
    expect(stat.blocks * 512).toBeLessThan(1 << 20);
    let data = 0;
    let holes = 0;
    for await (const part of test.session.fetchFiles({ paths: [path] })) {
      if (part.type !== "piece") continue;
      if (part.piece instanceof Uint8Array) data += part.piece.length;
      else holes += part.piece.holeBytes;
    }
    expect(data + holes).toBe((51 << 20) + 8);
    expect(holes).toBeGreaterThan(50 << 20);
    const read = await test.session.readBinaryFile({ path });
    expect(Buffer.from(read?.subarray((50 << 20) + 5, (50 << 20) + 8) ?? []).toString()).toBe("end");
  });

  it("are never placed or fetched through a link", async () => {
    mkdirSync(inside("outside"));
    chmodSync(inside("outside"), 0o777);
    writeFileSync(inside("outside/secret"), "secret");
    symlinkSync(inside("outside"), inside("door"));
    symlinkSync(inside("outside/secret"), inside("peephole"));
    const content = Buffer.from("x");
    const place = (entry: PlacedEntry) => test.session.placeEntries({ entries: [entry] });
    await expect(place({ kind: "file", path: "/workspace/door/new", mode: 0o644, content })).rejects.toMatchObject({
      code: "not_directory",
    });
    await expect(place({ kind: "directory", path: "/workspace/door/new", mode: 0o755 })).rejects.toThrow();
    await place({ kind: "file", path: "/workspace/peephole", mode: 0o644, content });
    expect(readFileSync(inside("outside/secret"), "utf8")).toBe("secret");
    expect(lstatSync(inside("peephole")).isFile()).toBe(true);
    symlinkSync(inside("outside/secret"), inside("peephole2"));
    const parts = [];
    const paths = ["door/secret", "peephole2", "nowhere", "outside"].map((name) => `/workspace/${name}`);
    for await (const part of test.session.fetchFiles({ paths })) parts.push(part.type === "refused" ? part.reason : part.type);
    expect(parts).toEqual(["failed", "not_regular", "absent", "not_regular"]);
    expect(await text("/workspace/door/secret")).toBe("secret");
  });

  it("replace what is there, but no directory with content", async () => {
    const place = (entry: PlacedEntry) => test.session.placeEntries({ entries: [entry] });
    await place({ kind: "directory", path: "/workspace/r/empty", mode: 0o755 });
    await place({ kind: "file", path: "/workspace/r/empty", mode: 0o644, content: Buffer.from("1") });
    await place({ kind: "symlink", path: "/workspace/r/empty", target: "somewhere" });
    await place({ kind: "directory", path: "/workspace/r/empty", mode: 0o750 });
    expect(statSync(inside("r/empty")).mode & 0o7777).toBe(0o750);
    await expect(place({ kind: "symlink", path: "/workspace/r", target: "x" })).rejects.toMatchObject({ code: "is_directory" });
  });

  it("are told, fetched and placed whatever their permissions, which stay", async () => {
    await test.session.run({ command: 'cd "$WORKSPACE"; mkdir -p locked/in; echo x > locked/in/f; chmod 0 locked/in/f locked/in; chmod 0500 locked' });
    const found = await test.session.listTree({ path: "/workspace/locked" });
    expect(found.map(({ path, mode }) => [path, mode])).toEqual([
      ["/workspace/locked/in", 0],
      ["/workspace/locked/in/f", 0],
    ]);
    const types = [];
    for await (const { type } of test.session.fetchFiles({ paths: ["/workspace/locked/in/f"] })) types.push(type);
    expect(types).toEqual(["file", "piece", "end"]);
    const content = Buffer.from("y");
    await test.session.placeEntries({ entries: [{ kind: "file", path: "/workspace/locked/in/g", mode: 0, content }] });
    const modes = ["locked", "locked/in", "locked/in/f", "locked/in/g"].map((name) => statSync(inside(name)).mode & 0o7777);
    expect(modes).toEqual([0o500, 0, 0, 0]);
  });

  it("that are none hold nobody up", async () => {
    await test.session.run({ command: 'cd "$WORKSPACE"; mkfifo pipe; ln -s /dev/zero zero; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'sock\')" || touch sock' });
    for (const path of ["/workspace/pipe", "/workspace/zero"]) {
      await expect(test.session.readBinaryFile({ path })).rejects.toMatchObject({ code: "not_regular" });
      await expect(test.session.writeBinaryFile({ path, content: Buffer.from("x") })).rejects.toMatchObject({ code: "not_regular" });
    }
    const reasons = [];
    const paths = ["/workspace/pipe", "/workspace/zero", "/dev/null"];
    for await (const part of test.session.fetchFiles({ paths })) reasons.push(part.type === "refused" && part.reason);
    expect(reasons).toEqual(["not_regular", "not_regular", "not_regular"]);
  });

  it("deeper and longer than a path may be are an error or found, never a crash", async () => {
    const deeper = "p=$(printf 'd/%.0s' {1..400}); mkdir -p $p; cd $p";
    await test.session.run({ command: `cd "$WORKSPACE"; mkdir deep; cd deep; for i in 1 2 3; do ${deeper}; done` });
    await expect(test.session.listTree({ path: "/workspace/deep" })).rejects.toMatchObject({ code: "too_large" });
    expect(await test.session.deleteFile({ path: "/workspace/deep", recursive: true })).toBe(true);
    expect(existsSync(inside("deep"))).toBe(false);
    expect(await test.session.stat({ path: `/${"x/".repeat(40_000)}` })).toBeNull();
    await expect(test.session.stat({ path: `/${"x".repeat(40_000)}` })).rejects.toMatchObject({ code: "failed" });
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

  it("does not matter: the waiting launcher stopped or killed, its pipes full", async () => {
    const stop = "for p in $(pgrep -x launch); do kill -STOP $p; done";
    await test.session.run({ command: stop });
    expect((await test.session.run({ command: "echo one" })).stdout).toBe("one\n");
    await test.session.run({ command: stop.replace("STOP", "KILL") });
    await until(async () => (await test.session.run({ command: "echo two" })).stdout === "two\n", "a command runs again");
    expect(() => execFileSync("cat", [`/proc/${test.child.pid}/environ`], { uid: nobody, stdio: "pipe" })).toThrow("denied");
  });
});
