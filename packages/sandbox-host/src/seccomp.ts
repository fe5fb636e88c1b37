/**
 * The system call filter of every sandbox, assembled as classic BPF (seccomp(2), linux/filter.h): calls up to the
 * newest one we know are allowed but for the refused ones; anything newer does not exist (ENOSYS).
 * @module
 */

/** Name, number on x86-64, number on arm64; -1: there is none. */
export const refusedCalls: readonly (readonly [name: string, x64: number, arm64: number])[] = [
  ["mount", 165, 40],
  ["umount2", 166, 39],
  ["pivot_root", 155, 41],
  ["fsopen", 430, 430],
  ["fsconfig", 431, 431],
  ["fsmount", 432, 432],
  ["fspick", 433, 433],
  ["move_mount", 429, 429],
  ["open_tree", 428, 428],
  ["mount_setattr", 442, 442],
  ["unshare", 272, 97],
  ["setns", 308, 268],
  ["chroot", 161, 51],
  ["init_module", 175, 105],
  ["finit_module", 313, 273],
  ["delete_module", 176, 106],
  ["name_to_handle_at", 303, 264],
  ["open_by_handle_at", 304, 265],
  ["bpf", 321, 280],
  ["perf_event_open", 298, 241],
  ["userfaultfd", 323, 282],
  ["io_uring_setup", 425, 425],
  ["io_uring_enter", 426, 426],
  ["io_uring_register", 427, 427],
  ["keyctl", 250, 219],
  ["add_key", 248, 217],
  ["request_key", 249, 218],
  ["ptrace", 101, 117],
  ["process_vm_readv", 310, 270],
  ["process_vm_writev", 311, 271],
  ["process_madvise", 440, 440],
  ["kcmp", 312, 272],
  ["pidfd_getfd", 438, 438],
  ["kexec_load", 246, 104],
  ["kexec_file_load", 320, 294],
  ["reboot", 169, 142],
  ["swapon", 167, 224],
  ["swapoff", 168, 225],
  ["acct", 163, 89],
  ["quotactl", 179, 60],
  ["quotactl_fd", 443, 443],
  ["syslog", 103, 116],
  ["vmsplice", 278, 75],
  ["settimeofday", 164, 170],
  ["clock_settime", 227, 112],
  ["clock_adjtime", 305, 266],
  ["adjtimex", 159, 171],
  ["iopl", 172, -1],
  ["ioperm", 173, -1],
  ["modify_ldt", 154, -1],
  ["lookup_dcookie", 212, 18],
  ["nfsservctl", 180, 42],
  ["vhangup", 153, 58],
  ["mbind", 237, 235],
  ["migrate_pages", 256, 238],
  ["move_pages", 279, 239],
  ["set_mempolicy", 238, 237],
  ["set_mempolicy_home_node", 450, 450],
  ["fanotify_init", 300, 262],
  ["fanotify_mark", 301, 263],
  ["sethostname", 170, 161],
  ["setdomainname", 171, 162],
  ["personality", 135, 92],
  ["uselib", 134, -1],
  ["ustat", 136, -1],
  ["sysfs", 139, -1],
  ["memfd_secret", 447, 447],
];

interface Architecture {
  readonly audit: number;
  readonly clone: number;
  readonly socket: number;
  readonly socketpair: number;
  readonly ioctl: number;
  readonly prlimit64: number;
  readonly column: 1 | 2;
}

const architectures: Readonly<Record<string, Architecture>> = {
  x64: { audit: 0xc000003e, clone: 56, socket: 41, socketpair: 53, ioctl: 16, prlimit64: 302, column: 1 },
  arm64: { audit: 0xc00000b7, clone: 220, socket: 198, socketpair: 199, ioctl: 29, prlimit64: 261, column: 2 },
};

const clone3 = 435;
/** futex_requeue: newer calls have not been judged. */
const newestJudged = 456;
const loadWord = 0x20;
const jumpEqual = 0x15;
const jumpGreater = 0x25;
const jumpAnySet = 0x45;
const answer = 0x06;
const actions = { allow: 0x7fff0000, kill: 0x80000000, notPermitted: 0x00050001, noSuchCall: 0x00050026 };
const addressFamilyRefused = 0x00050061;
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

/**
 * @param architecture `process.arch`.
 * @param internet whether IPv4 and IPv6 sockets may be made (without a network namespace nothing else stops them).
 * @throws Error for an architecture whose call numbers are not known.
 */
export function assembleFilter(architecture: string, internet: boolean): Buffer {
  const target = architectures[architecture];
  if (target === undefined) throw new Error(`no system call filter for the architecture ${architecture}`);
  const families = allowFamilies([familyUnix, ...(internet ? familyInternet : [])]);
  const program: Instruction[] = [
    [loadWord, 0, 0, offsets.architecture],
    [jumpEqual, 1, 0, target.audit],
    [answer, 0, 0, actions.kill],
    [loadWord, 0, 0, offsets.number],
    [jumpGreater, 0, 1, newestJudged],
    [answer, 0, 0, actions.noSuchCall],
    ...answerWhenEqual(clone3, actions.noSuchCall),
  ];
  for (const call of refusedCalls) {
    if (call[target.column] >= 0) program.push(...answerWhenEqual(call[target.column], actions.notPermitted));
  }
  program.push(
    ...onCall(target.clone, [
      [loadWord, 0, 0, offsets.firstArgument],
      [jumpAnySet, 0, 1, namespaceFlags],
      [answer, 0, 0, actions.notPermitted],
      [answer, 0, 0, actions.allow],
    ]),
    ...onCall(target.socket, families),
    ...onCall(target.socketpair, families),
    // Its own limits only: the supervisor has the same user id.
    ...onCall(target.prlimit64, [
      [loadWord, 0, 0, offsets.firstArgument],
      ...answerWhenEqual(0, actions.allow),
      [answer, 0, 0, actions.notPermitted],
    ]),
    ...onCall(target.ioctl, [
      [loadWord, 0, 0, offsets.secondArgument],
      ...terminalInjection.flatMap((request) => answerWhenEqual(request, actions.notPermitted)),
      [answer, 0, 0, actions.allow],
    ]),
    [answer, 0, 0, actions.allow],
  );
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
