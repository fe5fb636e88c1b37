/** Frames of several sockets, which are read into one buffer, and what becomes of a connection that is given up. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { type Server, type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connectFrames } from "./connection.ts";
import { encodeFrame } from "./frames.ts";

const directory = mkdtempSync(join(tmpdir(), "frames-"));
const path = join(directory, "socket");
let server: Server;
let accept: (peer: Socket) => void = () => {};
beforeAll(async () => {
  server = createServer((peer) => accept(peer));
  await new Promise<void>((resolve) => server.listen(path, resolve));
});
afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

async function open() {
  const accepted = new Promise<Socket>((resolve) => (accept = resolve));
  const connection = await connectFrames(path);
  return { connection, peer: await accepted };
}

it("keeps what arrived on one connection while others are read", async () => {
  const pairs: ({ letter: string } & Awaited<ReturnType<typeof open>>)[] = [];
  for (const letter of ["a", "b", "c"]) pairs.push({ letter, ...(await open()) });
  const sizes = [10, 5_000, 100_000, 300];
  for (let round = 0; round < sizes.length; round++) {
    for (const { letter, peer } of pairs) peer.write(encodeFrame(1, Buffer.alloc(sizes[round] ?? 0, letter)));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  for (const { letter, connection, peer } of pairs) {
    peer.end();
    const frames: (readonly [number, string])[] = [];
    for (let frame = await connection.read(); frame !== null; frame = await connection.read())
      frames.push([frame.payload.length, [...new Set(frame.payload.toString())].join("")]);
    expect(frames).toEqual(sizes.map((size) => [size, letter]));
  }
});

it("stops reading while frames wait, and goes on when they are taken", async () => {
  const { connection, peer } = await open();
  const frame = encodeFrame(1, Buffer.alloc(512 << 10));
  let sent = 0;
  const send = (): void => {
    while (sent < 40 && peer.write(frame)) sent++;
  };
  peer.on("drain", send);
  send();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(sent).toBeLessThan(10);
  for (let taken = 0; taken < 20; taken++) expect((await connection.read())?.payload.length).toBe(512 << 10);
  peer.on("error", () => {});
  connection.close();
});

it("hands over all that came after the last frame, at the pace of whoever reads it", async () => {
  const { connection, peer } = await open();
  // It comes with the last frame, and is none: its first bytes would be a length that no frame has.
  const begin = Buffer.from("hello".repeat(20));
  connection.endAfter(39);
  peer.write(Buffer.concat([encodeFrame(1), encodeFrame(39), begin]));
  expect([(await connection.read())?.type, (await connection.read())?.type]).toEqual([1, 39]);
  const { socket, rest } = connection.detach();
  expect(rest.equals(begin)).toBe(true);
  const all = randomBytes(8 << 20);
  peer.write(all);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(socket.readableLength).toBeLessThan(1 << 20);
  peer.end();
  expect((await buffer(socket)).equals(all)).toBe(true);
});
