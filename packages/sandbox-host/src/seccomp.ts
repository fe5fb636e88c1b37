/**
 * The system call filter of every sandbox, assembled as classic BPF (seccomp(2), linux/filter.h) at build: a list of
 * what is allowed, a few judged by their arguments, and nothing else.
 * @module
 */
import { type ConditionalCall, allowedCalls, conditionalCalls, refusedCalls } from "./seccomp-calls.ts";

interface Architecture {
  readonly audit: number;
  /** In the lists of calls. */
  readonly column: 1 | 2;
}

const architectures: Readonly<Record<string, Architecture>> = {
  x64: { audit: 0xc000003e, column: 1 },
  arm64: { audit: 0xc00000b7, column: 2 },
};

const loadWord = 0x20;
const jumpEqual = 0x15;
const jumpGreater = 0x25;
const jumpGreaterOrEqual = 0x35;
const jumpAnySet = 0x45;
const answer = 0x06;
const actions = { allow: 0x7fff0000, kill: 0x80000000, notPermitted: 0x00050001, noSuchCall: 0x00050026 };
const addressFamilyRefused = 0x00050061;
const noAttributes = 0x0005005f;
/** Name, number on x86-64, number on arm64. */
const attributeCalls: typeof allowedCalls = [
  ["getxattr", 191, 8],
  ["lgetxattr", 192, 9],
  ["fgetxattr", 193, 10],
  ["listxattr", 194, 11],
  ["llistxattr", 195, 12],
  ["flistxattr", 196, 13],
];
/** CLONE_NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME is clone3's alone, NEWNS. */
const namespaceFlags = 0x7e020000;
const terminalInjection = [0x5412, 0x541c];
const offsets = { number: 0, architecture: 4, firstArgument: 16, secondArgument: 24, thirdArgument: 32 };
const familyUnix = 1;
const familyNetlink = 16;
const netlinkRoute = 0;
const familyInternet = [2, 10];

type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, value: number];

function answerWhenEqual(value: number, action: number): Instruction[] {
  return [
    [jumpEqual, 0, 1, value],
    [answer, 0, 0, action],
  ];
}

/** Runs `body`, which must end with an answer, when the call is `number`. */
function onCall(number: number, body: readonly Instruction[]): Instruction[] {
  return [[jumpEqual, 0, body.length, number], ...body];
}

/** Netlink speaks the routing protocol (NETLINK_ROUTE) only: name resolution needs it, nothing needs the others. */
function allowFamilies(families: readonly number[]): Instruction[] {
  return [
    [loadWord, 0, 0, offsets.firstArgument],
    ...families.flatMap((family) => answerWhenEqual(family, actions.allow)),
    [jumpEqual, 0, 3, familyNetlink],
    [loadWord, 0, 0, offsets.thirdArgument],
    [jumpEqual, 0, 1, netlinkRoute],
    [answer, 0, 0, actions.allow],
    [answer, 0, 0, addressFamilyRefused],
  ];
}

/** Neighbouring numbers as one stretch: the program stays short. */
function allowStretches(numbers: readonly number[]): Instruction[] {
  const stretches: [first: number, last: number][] = [];
  for (const number of numbers.toSorted((one, other) => one - other)) {
    const latest = stretches.at(-1);
    if (latest !== undefined && latest[1] + 1 >= number) latest[1] = number;
    else stretches.push([number, number]);
  }
  return stretches.flatMap(([first, last]) => [
    [jumpGreaterOrEqual, 0, 2, first],
    [jumpGreater, 1, 0, last],
    [answer, 0, 0, actions.allow],
  ]);
}

/** Calls that are allowed with some arguments only. Each body ends with an answer. */
function judgeArguments(column: 1 | 2, internet: boolean): Instruction[] {
  const families = allowFamilies([familyUnix, ...(internet ? familyInternet : [])]);
  const bodies: Readonly<Record<ConditionalCall, readonly Instruction[]>> = {
    clone: [
      [loadWord, 0, 0, offsets.firstArgument],
      [jumpAnySet, 0, 1, namespaceFlags],
      [answer, 0, 0, actions.notPermitted],
      [answer, 0, 0, actions.allow],
    ],
    socket: families,
    socketpair: families,
    // Its own limits only: the supervisor has the same user id.
    prlimit64: [
      [loadWord, 0, 0, offsets.firstArgument],
      ...answerWhenEqual(0, actions.allow),
      [answer, 0, 0, actions.notPermitted],
    ],
    ioctl: [
      [loadWord, 0, 0, offsets.secondArgument],
      ...terminalInjection.flatMap((request) => answerWhenEqual(request, actions.notPermitted)),
      [answer, 0, 0, actions.allow],
    ],
  };
  return conditionalCalls.flatMap((call) => onCall(call[column], bodies[call[0]]));
}

export interface FilterOptions {
  /** Whether IPv4 and IPv6 sockets may be made: without a network namespace nothing else stops them. */
  readonly internet: boolean;
  /** Whether extended attributes may be read; where they may not, there are none (EOPNOTSUPP). */
  readonly extendedAttributes: boolean;
}

/**
 * @param architecture `process.arch`.
 * @throws Error for an architecture whose call numbers are not known.
 */
export function assembleFilter(architecture: string, { internet, extendedAttributes }: FilterOptions): Buffer {
  const target = architectures[architecture];
  if (target === undefined) throw new Error(`no system call filter for the architecture ${architecture}`);
  const numbersOf = (calls: typeof allowedCalls): number[] =>
    calls.map((call) => call[target.column]).filter((number) => number >= 0);
  const program: Instruction[] = [
    [loadWord, 0, 0, offsets.architecture],
    [jumpEqual, 1, 0, target.audit],
    [answer, 0, 0, actions.kill],
    [loadWord, 0, 0, offsets.number],
    ...(extendedAttributes ? [] : numbersOf(attributeCalls).flatMap((number) => answerWhenEqual(number, noAttributes))),
    ...allowStretches(numbersOf(allowedCalls)),
    ...judgeArguments(target.column, internet),
    ...numbersOf(refusedCalls).flatMap((number) => answerWhenEqual(number, actions.notPermitted)),
    [answer, 0, 0, actions.noSuchCall],
  ];
  return Buffer.concat(program.map(encodeInstruction));
}

function encodeInstruction([code, whenTrue, whenFalse, value]: Instruction): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(whenTrue, 2);
  bytes.writeUInt8(whenFalse, 3);
  bytes.writeUInt32LE(value >>> 0, 4);
  return bytes;
}
