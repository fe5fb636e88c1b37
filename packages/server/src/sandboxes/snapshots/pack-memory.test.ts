import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** In a process of its own: the most memory that was held outside of objects, garbage left away. */
const program = `
  import { createPackWriter } from ${JSON.stringify(join(import.meta.dirname, "pack-writer.ts"))};
  const slow = async (content) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { sha256: String(Math.random()), size: content.length, existed: false };
  };
  const piece = Buffer.alloc(65536);
  const held = () => (globalThis.gc(), process.memoryUsage().external);
  const before = held();
  const writer = createPackWriter({ blobs: { put: (_, content) => slow(content) }, organizationId: "o", known: new Map() });
  let largest = 0;
  const total = Number(process.argv[1]) * 1024 ** 2;
  for (let sent = 0, seed = 1; sent < total; sent += piece.length) {
    for (let at = 0; at < piece.length; at += 4) piece.writeUInt32LE((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0), at);
    await writer.write(piece);
    if (sent % 1024 ** 2 === 0) largest = Math.max(largest, held() - before);
  }
  writer.endFile();
  const stored = await writer.finish();
  console.log(JSON.stringify({ megabytes: largest / 1024 ** 2, packs: stored.length }));
`;

test("the memory that a snapshot takes does not grow with the workspace", async () => {
  const run = promisify(execFile);
  const argumentsOf = (size: number) => ["--expose-gc", "--input-type=module", "--eval", program, String(size)];
  const measured = await run(process.execPath, argumentsOf(512), { timeout: 60_000 });
  const { megabytes, packs } = JSON.parse(measured.stdout) as { megabytes: number; packs: number };
  expect(packs).toBe(128);
  // The pack that is filled, two that are stored, what these become, and what their compressors hold: 32.2 measured.
  expect(megabytes).toBeGreaterThan(4);
  expect(megabytes).toBeLessThan(34);
}, 60_000);
