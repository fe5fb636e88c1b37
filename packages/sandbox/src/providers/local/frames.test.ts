import { describe, expect, it } from "vitest";
import { type KnownCommand, parseState, toProcessList } from "./command-list.ts";
import { encodeSpawn } from "./commands.ts";
import {
  type Frame,
  FrameDecoder,
  FrameError,
  encodeFrame,
  encodeNumber,
  encodeString,
  maximumFrameBytes,
} from "./frames.ts";

const frames = [
  encodeFrame(5),
  encodeFrame(6, Buffer.from("one"), Buffer.from("two")),
  encodeFrame(255, Buffer.alloc(5000, 7)),
];

const summary = (commandId: string, pid: number, scope: KnownCommand["scope"]): KnownCommand => ({
  commandId,
  pid,
  scope,
  exit: null,
  ageMs: 0,
  outputBytes: 0,
});

describe("frames", () => {
  it.each([1, 3, 7, 1000, 10_000])("survive being torn into pieces of %i bytes", (size) => {
    const bytes = Buffer.concat(frames);
    const decoder = new FrameDecoder();
    const seen: Frame[] = [];
    for (let at = 0; at < bytes.length; at += size) seen.push(...decoder.push(bytes.subarray(at, at + size)));
    expect(seen.map((frame) => frame.type)).toEqual([5, 6, 255]);
    expect(seen[1]?.payload.toString()).toBe("onetwo");
    expect(seen[2]?.payload.equals(Buffer.alloc(5000, 7))).toBe(true);
    expect(decoder.rest()).toHaveLength(0);
  });
  it("keep what is not whole yet", () => {
    const decoder = new FrameDecoder();
    const half = encodeFrame(1, Buffer.alloc(10)).subarray(0, 9);
    expect(decoder.push(Buffer.concat([encodeFrame(2), half])).map((frame) => frame.type)).toEqual([2]);
    expect(decoder.rest().equals(half)).toBe(true);
  });
  it("may not have a length that no frame has", () => {
    for (const length of [0, maximumFrameBytes + 1, 0xffffffff]) {
      expect(() => new FrameDecoder().push(Buffer.concat([encodeNumber(length, 4), Buffer.alloc(8)]))).toThrow(
        FrameError,
      );
    }
    expect(() => encodeFrame(1, Buffer.alloc(maximumFrameBytes))).toThrow(FrameError);
    expect(() => encodeString("a\0b")).toThrow(FrameError);
  });
  it("describe commands, and refuse what the other side would misread", () => {
    const options = {
      command: "ls",
      environment: { A: "1" },
      timeoutMs: 5,
      stdin: "open",
      terminal: { rows: 3, columns: 4 },
    } as const;
    const numbers = "\x06\x05\0\0\0\x03\0\x04\0" + "\0".repeat(8);
    expect(Buffer.concat(encodeSpawn(options, "c1")).toString("latin1")).toBe(`${numbers}c1\0/workspace\0ls\0A=1\0`);
    expect(() => encodeSpawn({ command: "ls" }, "")).toThrow(FrameError);
    expect(() => encodeSpawn({ command: "a\0b" }, "c")).toThrow(FrameError);
    expect(() => encodeSpawn({ command: "ls", environment: { "": "x" } }, "c")).toThrow(FrameError);
    expect(() => encodeSpawn({ command: "ls", terminal: { rows: 0, columns: 1 } }, "c")).toThrow(FrameError);
  });
  it("report exits, and never invent one", () => {
    const exit = (state: number, value: number) => {
      const numbers = [encodeNumber(0, 1), encodeNumber(state, 1), encodeNumber(value, 4), Buffer.alloc(20)];
      return parseState(Buffer.concat(numbers)).exit;
    };
    expect(exit(0, 0)).toBeNull();
    expect(exit(1, 3)).toEqual({ type: "exited", code: 3 });
    expect(exit(2, 15)).toEqual({ type: "signalled", signal: 15 });
    expect(exit(3, 9)).toEqual({ type: "timed_out" });
    expect(exit(4, 0)?.type).toBe("unknown");
    expect(() => parseState(Buffer.alloc(25))).toThrow(FrameError);
  });
  it("tell processes by the kernel's words, whatever their names", () => {
    const known = {
      suspended: false,
      supervisor: 1,
      candidate: 9,
      commands: [summary("a", 20, "workload"), summary("m", 30, "maintenance")],
    };
    const lines = [
      "1 (supervisor) S 0 1 1 0",
      "8 (transfer) S 1 1 1 0",
      "9 (launch) S 1 9 9 0",
      "20 (x) S 1 1) R 1 20 20 0",
      "21 (child) S 20 20 20 0",
      "22 (own session) S 21 22 22 0",
      "23 (dead) Z 20 20 20 0",
      "24 (orphan) S 1 24 24 0",
      "30 (ours) S 1 30 30 0",
      "40 (elsewhere) S 2 40 40 0",
    ];
    const listed = toProcessList(lines.join("\0"), known);
    expect(listed.map(({ pid, commandId, name }) => `${pid} ${commandId} ${name}`)).toEqual([
      "20 a x) S 1 1",
      "21 a child",
      "22 a own session",
      "24 null orphan",
    ]);
  });
});
