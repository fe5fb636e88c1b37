/** What waits for a reader is bounded, however small its pieces are. */
import { describe, expect, it } from "vitest";
import { createOutputQueue } from "./output-queue.ts";

describe("createOutputQueue", () => {
  it("is full of pieces of one byte long before they are as many as its bytes", async () => {
    const queue = createOutputQueue();
    let pushed = 0;
    for (; !queue.full && pushed < 100_000; pushed++) queue.push({ stream: "stdout", bytes: Buffer.from("x") });
    expect(pushed).toBeLessThan(20_000);
    const room = queue.room();
    queue.end();
    const output = { [Symbol.asyncIterator]: () => queue.iterate() };
    let taken = 0;
    for await (const { bytes } of output) taken += bytes.length;
    await room;
    expect(taken).toBe(pushed);
    expect(queue.full).toBe(false);
  });
});
