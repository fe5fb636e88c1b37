import type { CommandOutputChunk } from "@exoloop/sandbox/session";
import { describe, expect, it } from "vitest";
import { collectOutput } from "./collect-output.ts";

async function* chunksOf(...texts: string[]): AsyncGenerator<CommandOutputChunk> {
  for (const text of texts) yield { stream: "stdout", bytes: Buffer.from(text) };
}

describe("collectOutput", () => {
  it("keeps short output whole, also where a character is split over chunks", async () => {
    async function* split(): AsyncGenerator<CommandOutputChunk> {
      const bytes = Buffer.from("grüße");
      yield { stream: "stdout", bytes: bytes.subarray(0, 3) };
      yield { stream: "stderr", bytes: bytes.subarray(3) };
    }
    expect(await collectOutput(split())).toEqual({ text: "grüße", truncated: false });
  });

  it("keeps head and tail of long output and says what is missing", async () => {
    const middle = Array.from({ length: 200 }, () => "m".repeat(10_000));
    const collected = await collectOutput(chunksOf("FIRST", ...middle, "LAST"));
    expect(collected.truncated).toBe(true);
    expect(collected.text.startsWith("FIRST")).toBe(true);
    expect(collected.text.endsWith("LAST")).toBe(true);
    expect(collected.text).toMatch(/\[… \d+ bytes not kept …\]/);
    expect(collected.text.length).toBeLessThan(1_100_000);
  });

  it("keeps the order of bytes that come one at a time, and holds them together", async () => {
    const text = Array.from({ length: 120_000 }, (_, index) => String.fromCharCode(97 + (index % 23))).join("");
    const before = process.memoryUsage().heapUsed;
    expect(await collectOutput(chunksOf(...text))).toEqual({ text, truncated: false });
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 << 20);
  });

  it("says what the sandbox no longer had", async () => {
    async function* gap(): AsyncGenerator<CommandOutputChunk> {
      yield { stream: "stdout", bytes: Buffer.from("a") };
      yield { stream: "stdout", bytes: Buffer.from("z"), missingBytes: 7 };
    }
    const collected = await collectOutput(gap());
    expect(collected).toEqual({ text: expect.stringContaining("[… 7 bytes not kept …]"), truncated: true });
  });
});
