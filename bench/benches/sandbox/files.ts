/** Files into and out of a sandbox. @module */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox } from "@exoloop/sandbox/contract";
import type { PlacedEntry } from "@exoloop/sandbox/session";

const largeBytes = 64 * 1000 ** 2;
const smallCount = 2_000;
/** At a time, on the host. */
const hostWidth = 16;

export interface LargeFileRates {
  /** MB/s, one for each round. */
  readonly write: readonly number[];
  readonly read: readonly number[];
}

/** One file of 64 MB, streamed with size and checksum verified on both sides. */
export async function measureLargeFile(sandbox: Sandbox, rounds: number): Promise<LargeFileRates> {
  const content = randomBytes(largeBytes);
  const path = "/workspace/large.bin";
  const write: number[] = [];
  const read: number[] = [];
  const rate = (startedAt: number): number => largeBytes / 1e6 / ((performance.now() - startedAt) / 1000);
  for (let round = 0; round < rounds; round += 1) {
    let startedAt = performance.now();
    await sandbox.session.writeBinaryFile({ path, content });
    write.push(rate(startedAt));
    startedAt = performance.now();
    const back = await sandbox.session.readBinaryFile({ path });
    read.push(rate(startedAt));
    if (back === null || !content.equals(back)) throw new Error("the file came back different");
  }
  await sandbox.session.deleteFile({ path });
  return { write, read };
}

/** 1 to 7 KB each, 8 MB in all, in 20 directories. */
function makeSmallFiles(): { name: string; content: Buffer }[] {
  return Array.from({ length: smallCount }, (_, index) => ({
    name: `d${index % 20}/file-${index}.txt`,
    content: randomBytes(1_000 + ((index * 37) % 6_000)),
  }));
}

/** On the same file system, by the server's own process, without a sandbox. */
async function writeOnHost(directory: string, files: ReturnType<typeof makeSmallFiles>): Promise<void> {
  for (let index = 0; index < 20; index += 1) mkdirSync(join(directory, `d${index}`), { recursive: true });
  const left = files[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const { name, content } of left) await writeFile(join(directory, name), content);
  };
  await Promise.all(Array.from({ length: hostWidth }, worker));
}

export interface SmallFileTimes {
  /** Milliseconds for all of them. */
  readonly sandbox: readonly number[];
  readonly host: readonly number[];
}

/** Turn by turn, so that both see the same disk. */
export async function measureSmallFiles(sandbox: Sandbox, directory: string, rounds: number): Promise<SmallFileTimes> {
  const files = makeSmallFiles();
  const entries = files.map(({ name, content }): PlacedEntry => ({
    kind: "file",
    path: `/workspace/small/${name}`,
    mode: 0o644,
    content,
  }));
  const times = { sandbox: [] as number[], host: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    let startedAt = performance.now();
    await sandbox.session.placeEntries({ entries });
    times.sandbox.push(performance.now() - startedAt);
    startedAt = performance.now();
    await writeOnHost(directory, files);
    times.host.push(performance.now() - startedAt);
    await sandbox.session.deleteFile({ path: "/workspace/small", recursive: true });
    rmSync(directory, { recursive: true, force: true });
  }
  return times;
}
