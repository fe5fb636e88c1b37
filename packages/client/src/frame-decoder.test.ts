import { expect, test } from "vitest";
import { createFrameDecoder, decodeFrames, type Frame } from "./frame-decoder.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** The same bytes, in pieces of `size`. */
function decodeInPieces(text: string, size: number): Frame[] {
  const bytes = encode(text);
  const decoder = createFrameDecoder();
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at += size) frames.push(...decoder.push(bytes.subarray(at, at + size)));
  return frames;
}

const stream = [
  "retry: 1000\nid: 7\n\n",
  ": a comment\n",
  'event: agent.message\nid: 8\ndata: {"text":"grüße 🌍"}\n\n',
  "event: ping\ndata: {}\n\n",
  "data:no space\ndata: second line\n\n",
  "event: only-a-name\n\n",
  "unknown: field\nevent\ndata\n\n",
].join("");

const expected: Frame[] = [
  { type: "message", data: "", id: "7" },
  { type: "agent.message", data: '{"text":"grüße 🌍"}', id: "8" },
  { type: "ping", data: "{}", id: undefined },
  { type: "message", data: "no space\nsecond line", id: undefined },
  { type: "message", data: "", id: undefined },
];

test.each([1, 2, 3, 5, 7, 64, 10_000])("frames do not depend on how the bytes are cut: pieces of %i", (size) => {
  expect(decodeInPieces(stream, size)).toEqual(expected);
  expect(decodeInPieces(stream.replaceAll("\n", "\r\n"), size)).toEqual(expected);
});

test("a lone CR ends a line too", () => {
  expect(decodeInPieces("event: a\rdata: 1\r\rdata: 2\r\r\n", 1)).toEqual([
    { type: "a", data: "1", id: undefined },
    { type: "message", data: "2", id: undefined },
  ]);
});

test("a frame that its stream did not finish is not a frame", () => {
  expect(decodeInPieces("event: a\ndata: 1\n", 4)).toEqual([]);
});

test("a frame that never ends is an error, not memory", () => {
  const decoder = createFrameDecoder();
  const piece = encode("x".repeat(1024 * 1024));
  expect(() => {
    for (let count = 0; count < 20; count += 1) decoder.push(piece);
  }).toThrow("too large");
});

test("leaving the loop cancels the body", async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(encode("data: 1\n\n")),
    cancel: () => {
      cancelled = true;
    },
  });
  for await (const frame of decodeFrames(body)) {
    expect(frame.data).toBe("1");
    break;
  }
  expect(cancelled).toBe(true);
});
