import { describe, expect, it } from "vitest";
import { encodeSpawn, parseExit } from "./commands.ts";
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
    const payload = Buffer.concat(encodeSpawn({ command: "ls", environment: { A: "1" }, timeoutMs: 5 }, "c1", 2));
    expect(payload.toString("latin1")).toBe("\x02\x05\0\0\0c1\0/workspace\0ls\0A=1\0");
    expect(() => encodeSpawn({ command: "ls" }, "", 0)).toThrow(FrameError);
    expect(() => encodeSpawn({ command: "a\0b" }, "c", 0)).toThrow(FrameError);
    expect(() => encodeSpawn({ command: "ls", environment: { "": "x" } }, "c", 0)).toThrow(FrameError);
  });
  it("report exits, and never invent one", () => {
    const exit = (kind: number, value: number) =>
      parseExit(Buffer.concat([encodeNumber(kind, 1), encodeNumber(value, 4), encodeNumber(9, 8)]));
    expect(exit(1, 3)).toEqual({ exit: { type: "exited", code: 3 }, dropped: 9 });
    expect(exit(2, 15).exit).toEqual({ type: "signalled", signal: 15 });
    expect(exit(3, 9).exit).toEqual({ type: "timed_out" });
    expect(exit(4, 0).exit.type).toBe("unknown");
    expect(() => parseExit(Buffer.alloc(3))).toThrow();
  });
});
