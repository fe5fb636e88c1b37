import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNumber, encodeString, frameTypes } from "@exoloop/sandbox/providers/local/frames";
import type { FilePiece, PlacedEntry } from "@exoloop/sandbox/session";
import { until } from "./test-host.ts";
import { type TestSupervisor, openTestSupervisor } from "./test-supervisor.ts";

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
let test: TestSupervisor;
beforeAll(async () => {
  test = await openTestSupervisor(isRoot ? { userId: nobody } : {});
});
afterAll(() => test.close());

const inside = (name: string): string => join(test.directory, name);
function transfersOrNone(list: () => string[]): string[] {
  try {
    return list();
  } catch {
    return [];
  }
}
const text = async (path: string): Promise<string> =>
  Buffer.from((await test.session.readBinaryFile({ path })) ?? []).toString();

describe("files", () => {
  it("with a flipped bit are refused, and leave what was there", async () => {
    await test.session.writeBinaryFile({ path: "/workspace/whole", content: Buffer.from("before") });
    for (const [size, checksum] of [
      [5, 0],
      [4, 0x3610a686],
      [5, 0x3610a687],
    ] as const) {
      const connection = await test.connect("transfer");
      const head = [encodeNumber(1, 1), encodeNumber(0o644, 4), encodeNumber(0, 8)];
      await connection.write(frameTypes.place, ...head, encodeString(inside("whole")), encodeString(""));
      await connection.write(frameTypes.data, Buffer.from("hello"));
      await connection.write(frameTypes.end, encodeNumber(size, 8), encodeNumber(checksum, 4));
      const answer = await connection.read();
      expect([answer?.type, answer?.payload.readInt32LE(0)]).toEqual([frameTypes.error, 74]);
      connection.close();
    }
    expect(await text("/workspace/whole")).toBe("before");
    expect(
      (await test.session.listDirectory({ path: "/workspace" }))?.some(({ name }) => name.startsWith(".exo")),
    ).toBe(false);
  });

  it("that were half written when their writer was killed are no files: whoever looks next removes them", async () => {
    const head = [encodeNumber(1, 1), encodeNumber(0o644, 4), encodeNumber(0, 8)];
    const transfers = () =>
      execFileSync("pgrep", ["-P", String(test.child.pid), "-x", "transfer"])
        .toString()
        .split("\n");
    const begin = async () => {
      const before = new Set(transfersOrNone(transfers));
      const connection = await test.connect("transfer");
      const pid = transfers().find((one) => one !== "" && !before.has(one)) ?? "";
      // Somebody had its number before, and was killed.
      writeFileSync(inside(`half/.exoloop-${pid}-0`), "other");
      await connection.write(frameTypes.place, ...head, encodeString(inside("half/file")), encodeString(""));
      await connection.write(frameTypes.data, Buffer.from("hello"));
      return { connection, pid };
    };
    const copies = (pid: string) => readdirSync(inside("half")).filter((name) => name.startsWith(`.exoloop-${pid}-`));
    await test.session.writeBinaryFile({ path: "/workspace/half/.exoloop-notes", content: Buffer.from("kept") });
    const [killed, alive] = [await begin(), await begin()];
    for (const { pid } of [killed, alive]) await until(() => copies(pid).length === 2, "it has begun");
    process.kill(Number(killed.pid), "SIGKILL");
    expect(await killed.connection.read()).toBeNull();
    await until(() => !existsSync(`/proc/${killed.pid}`), "nothing of it is left");
    const told = await test.session.listDirectory({ path: "/workspace/half" });
    expect(copies(killed.pid)).toEqual([]);
    expect(copies(alive.pid)).toHaveLength(2);
    expect(told).toHaveLength(3);
    expect(readFileSync(inside("half/.exoloop-notes"), "utf8")).toBe("kept");
    await alive.connection.write(frameTypes.end, encodeNumber(5, 8), encodeNumber(0x3610a686, 4));
    expect((await alive.connection.read())?.type).toBe(frameTypes.end);
    expect(await text("/workspace/half/file")).toBe("hello");
    alive.connection.close();
  });

  it("keep their holes in both directions", async () => {
    const pieces: FilePiece[] = [
      Buffer.from("begin"),
      { holeBytes: 50 << 20 },
      Buffer.from("end"),
      { holeBytes: 1 << 20 },
    ];
    async function* content(): AsyncGenerator<FilePiece> {
      yield* pieces;
    }
    const path = "/workspace/sparse";
    await test.session.placeEntries({
      entries: [{ kind: "file", path, mode: 0o600, modifiedAt: 86_400_123, content: content() }],
    });
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
    for await (const part of test.session.fetchFiles({ paths }))
      parts.push(part.type === "refused" ? part.reason : part.type);
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
    await expect(place({ kind: "symlink", path: "/workspace/r", target: "x" })).rejects.toMatchObject({
      code: "is_directory",
    });
  });

  it("are told, fetched and placed whatever their permissions, which stay", async () => {
    await test.session.run({
      command:
        'cd "$WORKSPACE"; mkdir -p locked/in; echo x > locked/in/f; chmod 0 locked/in/f locked/in; chmod 0500 locked',
    });
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
    const modes = ["locked", "locked/in", "locked/in/f", "locked/in/g"].map(
      (name) => statSync(inside(name)).mode & 0o7777,
    );
    expect(modes).toEqual([0o500, 0, 0, 0]);
  });

  it("that are none hold nobody up", async () => {
    await test.session.run({
      command:
        'cd "$WORKSPACE"; mkfifo pipe; ln -s /dev/zero zero; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'sock\')" || touch sock',
    });
    for (const path of ["/workspace/pipe", "/workspace/zero"]) {
      await expect(test.session.readBinaryFile({ path })).rejects.toMatchObject({ code: "not_regular" });
      await expect(test.session.writeBinaryFile({ path, content: Buffer.from("x") })).rejects.toMatchObject({
        code: "not_regular",
      });
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
