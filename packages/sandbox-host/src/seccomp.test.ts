import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { absentCalls, allowedCalls, conditionalCalls, refusedCalls } from "./seccomp-calls.ts";
import { assembleFilter } from "./seccomp.ts";

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
        code === 0x15
          ? accumulator === value
          : code === 0x25
            ? accumulator > value
            : code === 0x35
              ? accumulator >= value
              : (accumulator & value) !== 0;
      at += program.readUInt8(at * 8 + (taken ? 2 : 3));
    }
  }
  throw new Error("the program ran off its end");
}

const usual = { internet: true, extendedAttributes: true };
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
  const program = assembleFilter(name, usual);
  const ask = (number: number, first = 0, second = 0, third = 0) =>
    interpret(program, { number, architecture: audit, first, second, third });

  it("is a program the kernel takes", () => {
    expect(program.length % 8).toBe(0);
    expect(program.length / 8).toBeLessThanOrEqual(4096);
  });
  it("answers each call as its list says, and each one that is on no list as if there were none", () => {
    expect(ask(read)).toBe(allow);
    const expected = new Map<number, number>();
    const lists = [
      [allowedCalls, allow],
      [refusedCalls, notPermitted],
      [absentCalls, noSuchCall],
    ] as const;
    for (const [calls, action] of lists) for (const call of calls) expected.set(call[column], action);
    for (const call of conditionalCalls) expected.delete(call[column]);
    const conditional = new Set<number>(conditionalCalls.map((call) => call[column]));
    for (let number = 0; number < 1024; number++) {
      if (!conditional.has(number)) expect([number, ask(number)]).toEqual([number, expected.get(number) ?? noSuchCall]);
    }
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
    const withoutInternet = assembleFilter(name, { ...usual, internet: false });
    expect(interpret(withoutInternet, { number: socket, architecture: audit, first: 2 })).toBe(0x00050061);
  });

  it("has extended attributes, or tells that there are none", () => {
    const without = assembleFilter(name, { ...usual, extendedAttributes: false });
    for (const [, x64, arm64] of allowedCalls.filter(([call]) => /^[fl]?(get|list)xattr$/.test(call))) {
      const number = name === "x64" ? x64 : arm64;
      expect(ask(number)).toBe(allow);
      expect(interpret(without, { number, architecture: audit })).toBe(0x0005005f);
    }
    expect(interpret(without, { number: read, architecture: audit })).toBe(allow);
  });
});

it("every call of this machine's kernel headers is on one list only, under its own number", () => {
  const calls = [...allowedCalls, ...refusedCalls, ...absentCalls, ...conditionalCalls];
  for (const column of [0, 1, 2] as const) {
    const present = calls.map((call) => call[column]).filter((each) => each !== -1);
    expect(present.filter((each, index) => present.indexOf(each) !== index)).toEqual([]);
  }
  expect(
    calls.filter((call) => call.slice(1).some((number) => !Number.isInteger(number) || Number(number) < -1)),
  ).toEqual([]);
  const headers = { x64: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", arm64: "/usr/include/asm-generic/unistd.h" };
  const header = process.arch === "x64" ? headers.x64 : headers.arm64;
  if (!existsSync(header)) return;
  const judged = new Map(calls.map((call) => [call[0], call[process.arch === "x64" ? 1 : 2]]));
  for (const [, name = "", number] of readFileSync(header, "utf8").matchAll(/^#define __NR_(\w+) (\d+)$/gm)) {
    if (Number(number) <= 456) expect([name, judged.get(name)]).toEqual([name, Number(number)]);
  }
});

it("there is no filter for an unknown architecture", () => {
  expect(() => assembleFilter("riscv64", usual)).toThrow("riscv64");
});
