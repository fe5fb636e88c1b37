import { describe, expect, it } from "vitest";
import { assembleFilter, refusedCalls } from "./seccomp.ts";

interface Call {
  readonly number: number;
  readonly architecture: number;
  readonly first?: number;
  readonly second?: number;
  readonly third?: number;
}

/** Runs a program as the kernel would: the few instructions that it may contain. */
function interpret(program: Buffer, call: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.architecture, 4);
  data.writeUInt32LE((call.first ?? 0) >>> 0, 16);
  data.writeUInt32LE((call.second ?? 0) >>> 0, 24);
  data.writeUInt32LE((call.third ?? 0) >>> 0, 32);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt16LE(at * 8);
    const value = program.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else {
      const taken =
        code === 0x15 ? accumulator === value : code === 0x25 ? accumulator > value : (accumulator & value) !== 0;
      at += program.readUInt8(at * 8 + (taken ? 2 : 3));
    }
  }
  throw new Error("the program ran off its end");
}

const allow = 0x7fff0000;
const notPermitted = 0x00050001;
const noSuchCall = 0x00050026;
const machines = [
  {
    name: "x64",
    audit: 0xc000003e,
    column: 1,
    read: 0,
    clone: 56,
    socket: 41,
    socketpair: 53,
    ioctl: 16,
    prlimit64: 302,
  },
  {
    name: "arm64",
    audit: 0xc00000b7,
    column: 2,
    read: 63,
    clone: 220,
    socket: 198,
    socketpair: 199,
    ioctl: 29,
    prlimit64: 261,
  },
] as const;

describe.each(machines)("the filter for $name", ({ name, audit, column, read, clone, socket, ioctl, ...calls }) => {
  const program = assembleFilter(name, true);
  const ask = (number: number, first = 0, second = 0, third = 0) =>
    interpret(program, { number, architecture: audit, first, second, third });

  it("is a program the kernel takes", () => {
    expect(program.length % 8).toBe(0);
    expect(program.length / 8).toBeLessThanOrEqual(4096);
  });
  it("allows the ordinary and refuses the listed", () => {
    expect(ask(read)).toBe(allow);
    for (const call of refusedCalls)
      if (call[column] >= 0) expect([call[0], ask(call[column])]).toEqual([call[0], notPermitted]);
  });
  it("knows no call that is newer than it, and no other architecture", () => {
    expect(ask(457)).toBe(noSuchCall);
    expect(ask(435)).toBe(noSuchCall);
    expect(ask(0x40000000 + read)).toBe(noSuchCall);
    expect(interpret(program, { number: read, architecture: 0x40000003 })).toBe(0x80000000);
  });
  it("lets threads and processes be made, but no namespace", () => {
    expect(ask(clone, 0x003d0f00)).toBe(allow);
    for (const flag of [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]) {
      expect(ask(clone, flag | 17)).toBe(notPermitted);
    }
  });
  it("lets a process change its own limits, not those of its supervisor", () => {
    expect(ask(calls.prlimit64, 0, 7)).toBe(allow);
    expect(ask(calls.prlimit64, 1, 7)).toBe(notPermitted);
  });
  it("allows only the address families that are of use, and no input into terminals", () => {
    expect([1, 2, 10, 16].map((family) => ask(socket, family))).toEqual([allow, allow, allow, allow]);
    expect([17, 38, 40].map((family) => ask(socket, family))).toEqual([0x00050061, 0x00050061, 0x00050061]);
    expect(ask(ioctl, 0, 0x5412)).toBe(notPermitted);
    expect(ask(ioctl, 0, 0x5401)).toBe(allow);
    expect([1, 16, 17, 38, 40].map((family) => ask(calls.socketpair, family) === allow)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(ask(socket, 16, 3, 12)).toBe(0x00050061);
    const withoutInternet = assembleFilter(name, false);
    expect(interpret(withoutInternet, { number: socket, architecture: audit, first: 2 })).toBe(0x00050061);
  });
});

it("there is no filter for an unknown architecture", () => {
  expect(() => assembleFilter("riscv64", true)).toThrow("riscv64");
});
