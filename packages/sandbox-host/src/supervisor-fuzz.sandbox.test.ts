import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connectFrames } from "@exoloop/sandbox/providers/local/connection";
import { encodeFrame, encodeNumber, encodeString, frameTypes } from "@exoloop/sandbox/providers/local/frames";
import { createRandom } from "@exoloop/sandbox/testing/random";
import { compileGuest } from "./guest-build.ts";
import { until } from "./test-host.ts";
import { type TestSupervisor, openTestSupervisor } from "./test-supervisor.ts";

/** FUZZ_SECONDS and FUZZ_SEED make it longer, and other. */
const seconds = Number(process.env["FUZZ_SECONDS"] ?? 12);
const firstSeed = Number(process.env["FUZZ_SEED"] ?? 1);
const nobody = 65_534;

let directory: string;
let supervisor: string;
let transfer: string;
let test: TestSupervisor;

function compile(flags?: readonly string[]): void {
  compileGuest("cc", "supervisor", supervisor, flags);
  compileGuest("cc", "transfer", transfer, flags);
}

function hasSanitizers(): boolean {
  try {
    compile(["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    execFileSync(supervisor, [], { stdio: "pipe" });
  } catch (error) {
    return error instanceof Error && error.message.includes("usage");
  }
  return false;
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "exoloop-fuzz-"));
  chmodSync(directory, 0o755);
  supervisor = join(directory, "supervisor");
  transfer = join(directory, "transfer");
  if (!hasSanitizers()) compile();
  test = await openTestSupervisor({
    programs: { supervisor, transfer },
    // What it is made to do must not hurt this machine.
    ...(process.getuid?.() === 0 ? { userId: nobody } : {}),
    environment: { ASAN_OPTIONS: "detect_leaks=0" },
  });
});
afterAll(async () => {
  await test.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Numbers from 0 up to below what is asked. */
type Random = (below: number) => number;

/** Requests as they should be: what is made of them is wrong in one place only, and gets far. */
function wellFormed(random: Random): Buffer[] {
  const path = encodeString(join(test.directory, ["a", "b/c", "d", "..", "", "x".repeat(300)][random(6)] ?? ""));
  const id = encodeString(`c${random(20)}`);
  const none = encodeString("");
  const ending = Buffer.concat([encodeNumber(random(3), 8), encodeNumber(random(3), 4)]);
  const spawn = [
    encodeNumber(random(16), 1),
    encodeNumber(random(500), 4),
    encodeNumber(random(50), 2),
    encodeNumber(random(50), 2),
    encodeNumber(random(9), 8),
    id,
    encodeString("/"),
    encodeString(
      ["echo a; echo b >&2", "cat", "sleep 0.05 & exit 3", "head -c 200000 /dev/zero", "kill -STOP $$"][random(5)] ??
        "",
    ),
    encodeString("A=1"),
  ];
  const all: Buffer[][] = [
    [encodeFrame(frameTypes.spawn, ...spawn)],
    [encodeFrame(frameTypes.stdin, id, Buffer.alloc(random(90_000))), encodeFrame(frameTypes.stdin, id)],
    [
      encodeFrame(
        frameTypes.control,
        encodeNumber(random(6), 1),
        encodeNumber(random(70), 2),
        encodeNumber(random(70), 2),
        id,
      ),
    ],
    [encodeFrame(frameTypes.read, path)],
    [
      encodeFrame(
        frameTypes.place,
        encodeNumber(random(5), 1),
        encodeNumber(random(0o10000), 4),
        encodeNumber(random(9), 8),
        path,
        none,
      ),
      encodeFrame(frameTypes.data, Buffer.alloc(random(3))),
      encodeFrame(frameTypes.hole, encodeNumber(random(3), 8)),
      encodeFrame(frameTypes.end, ending),
    ],
    [encodeFrame(frameTypes.scan, encodeNumber(random(9), 4), encodeNumber(random(9), 4), path)],
    [encodeFrame(frameTypes.delete, path)],
    [encodeFrame(frameTypes.connect, encodeNumber(1 + random(3), 2))],
    [encodeFrame(frameTypes.commands)],
    [encodeFrame(frameTypes.transfer)],
    [encodeFrame(random(2) === 0 ? frameTypes.suspend : frameTypes.resume)],
  ];
  return all[random(all.length)] ?? [];
}

function mutate(bytes: Buffer, random: Random): Buffer {
  const changed = Buffer.from(bytes);
  for (let count = random(4); count > 0 && changed.length > 0; count--) changed[random(changed.length)] = random(256);
  return random(6) === 0 ? changed.subarray(0, random(changed.length + 1)) : changed;
}

/** Shutting down is what it should do then. */
function isShutdown(bytes: Buffer): boolean {
  for (let at = 0; at + 5 <= bytes.length; at += 4 + bytes.readUInt32LE(at))
    if (bytes[at + 4] === frameTypes.shutdown) return true;
  return false;
}

async function attack(random: Random): Promise<void> {
  const connecting = random(2) === 0 ? test.connect("transfer") : connectFrames(test.socketPath);
  const connection = await connecting.catch(() => null);
  if (connection === null) return new Promise((resolve) => setTimeout(resolve, 20)); // as many as it takes are waiting
  const { socket } = connection.detach();
  socket.on("error", () => {});
  socket.resume();
  for (let round = 0; round < 8; round++) {
    const frames = wellFormed(random);
    const sent =
      random(10) === 0
        ? Buffer.from(Array.from({ length: random(200) }, () => random(256)))
        : Buffer.concat(random(3) === 0 ? frames : frames.map((frame) => mutate(frame, random)));
    if (!isShutdown(sent) && socket.writable) socket.write(sent);
    if (random(3) === 0) await new Promise((resolve) => setTimeout(resolve, random(10)));
  }
  socket.destroy();
}

const openDescriptors = (): number => readdirSync(`/proc/${test.child.pid}/fd`).length;
const isRunning = (): boolean => test.child.exitCode === null && test.child.signalCode === null;

it("the supervisor and what it hands connections to survive whatever is sent, and hold nothing afterwards", async () => {
  await test.session.run({ command: "true" });
  const deadline = performance.now() + seconds * 1000;
  let seed = firstSeed;
  for (; performance.now() < deadline && isRunning(); seed += 8) {
    await Promise.all(Array.from({ length: 8 }, (_, index) => attack(createRandom(seed + index).below)));
  }
  expect(isRunning(), `seeds up to ${seed}: ${test.complaints().slice(0, 3000)}`).toBe(true);
  const connection = await test.connect();
  await connection.write(frameTypes.resume);
  expect((await connection.read())?.type).toBe(frameTypes.end);
  connection.close();
  for (const { commandId } of await test.session.listCommands()) {
    await (await test.session.attachCommand({ commandId, byteOffset: 0 }))?.kill();
  }
  // Both may have been given any mode.
  for (const path of [dirname(test.directory), test.directory]) chmodSync(path, 0o755);
  expect(await test.session.run({ command: "echo well" })).toMatchObject({ stdout: "well\n", stderr: "" });
  const bytes = Buffer.from("whole");
  await test.session.writeBinaryFile({ path: "/workspace/after", content: bytes });
  expect(Buffer.from((await test.session.readBinaryFile({ path: "/workspace/after" })) ?? [])).toEqual(bytes);
  // Its own, the waiting launcher's, and the few connections of the session.
  await until(() => openDescriptors() < 40, "the descriptors are closed");
  expect(test.complaints()).not.toMatch(/runtime error|Sanitizer/);
});
