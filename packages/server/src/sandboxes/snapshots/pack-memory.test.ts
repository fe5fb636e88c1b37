import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** In a process of its own: the most memory that was held outside of objects, garbage left away. */
const program = `
  import { createPackWriter } from ${JSON.stringify(join(import.meta.dirname, "pack-writer.ts"))};
  import { createPackPlaces } from ${JSON.stringify(join(import.meta.dirname, "pack-places.ts"))};
  const [total, count] = [Number(process.argv[1]) * 1024 ** 2, Number(process.argv[2])];
  const slow = async (content) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { sha256: String(Math.random()), size: content.length, existed: false };
  };
  const held = () => (globalThis.gc(), process.memoryUsage().external);
  const before = held();
  let largest = 0;
  const places = count === 1 ? undefined : createPackPlaces(4);
  const blobs = { put: (_, content) => slow(content) };
  const capture = async (_, index) => {
    const writer = createPackWriter({ blobs, organizationId: "o", known: new Map(), places });
    const piece = Buffer.alloc(65536);
    for (let sent = 0, seed = index + 1; sent < total; sent += piece.length) {
      for (let at = 0; at < piece.length; at += 4) piece.writeUInt32LE((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0), at);
      await writer.write(piece);
      if (sent % (Math.min(count, 4) * 1024 ** 2) === 0) largest = Math.max(largest, held() - before);
      if (sent % 1024 ** 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    writer.endFile();
    return (await writer.finish()).length;
  };
  const stored = await Promise.all(Array.from({ length: count }, capture));
  console.log(JSON.stringify({ megabytes: largest / 1024 ** 2, packs: stored.reduce((sum, packs) => sum + packs) }));
`;

async function measure(size: number, writers: number) {
  const run = ["--expose-gc", "--input-type=module", "--eval", program, String(size), String(writers)];
  const measured = await promisify(execFile)(process.execPath, run, { timeout: 60_000 });
  return JSON.parse(measured.stdout) as { megabytes: number; packs: number };
}

test("the memory that a snapshot takes does not grow with the workspace", async () => {
  const { megabytes, packs } = await measure(512, 1);
  expect(packs).toBe(128);
  // The pack that is filled, two that are stored, what these become, and what their compressors hold: 32.2 measured.
  expect(megabytes).toBeGreaterThan(4);
  expect(megabytes).toBeLessThan(34);
}, 60_000);

test("of many snapshots at once, each holds the pack that it fills, and four are stored", async () => {
  const { megabytes, packs } = await measure(32, 12);
  expect(packs).toBe(12 * 8);
  expect(megabytes).toBeGreaterThan(12 * 4);
  expect(megabytes).toBeLessThan(12 * 4 + 4 * 15);
}, 60_000);
