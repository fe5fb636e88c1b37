/** The programs of a sandbox in memory: what each prints and changes is what it does in a real one. @module */
import { SandboxFileError } from "../../errors.ts";
import type { TerminalSize } from "../../session.ts";
import { replaceFile } from "./files.ts";
import type { InputQueue } from "./input-queue.ts";
import { type Machine, type MemoryProcess, signalNumbers } from "./machine.ts";
import { contentOf, nodeSize } from "./nodes.ts";
import type { FileTree } from "./tree.ts";

/** What a program sees. */
export interface ProgramContext {
  readonly machine: Machine;
  readonly tree: FileTree;
  readonly process: MemoryProcess;
  readonly args: readonly string[];
  readonly stdin: InputQueue | null;
  readonly environment: ReadonlyMap<string, string>;
  /** An absolute path of what was written as one. */
  readonly absolute: (path: string) => string;
  readonly print: (text: string | Uint8Array) => void;
  readonly complain: (text: string) => void;
  readonly terminal: () => TerminalSize | null;
}

type Program = (context: ProgramContext) => Promise<number> | number;

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", "\\": "\\", a: "\x07" };

/** What printf makes of its format, byte for byte. */
function format(pattern: string, values: readonly string[]): Uint8Array {
  let next = 0;
  const latin = Buffer.from(pattern).toString("latin1");
  const text = latin.replaceAll(
    /\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)|%([sd%])/g,
    (whole, escape: string, kind: string) => {
      if (kind === "%") return "%";
      if (kind !== undefined) return Buffer.from(values[next++] ?? (kind === "d" ? "0" : "")).toString("latin1");
      if (/^[0-7]/.test(escape)) return String.fromCharCode(Number.parseInt(escape, 8) & 0xff);
      if (escape.length > 1) return String.fromCharCode(Number.parseInt(escape.slice(1), 16));
      return escapes[escape] ?? whole;
    },
  );
  return Buffer.from(text, "latin1");
}

const printf: Program = ({ args: [pattern = "", ...values], print }) => {
  print(format(pattern, values));
  return 0;
};

const echo: Program = ({ args, print }) => {
  const bare = args[0] === "-n";
  print(`${args.slice(bare ? 1 : 0).join(" ")}${bare ? "" : "\n"}`);
  return 0;
};

const cat: Program = async ({ machine, process, tree, args, stdin, absolute, print, complain }) => {
  let code = 0;
  for (const path of args) {
    const { node } = tree.lookup(absolute(path), { follow: true });
    const readable = node?.kind === "file" && (node.mode & 0o400) !== 0;
    if (readable) print(contentOf(node));
    else {
      complain(`cat: ${path}: ${node === null ? "No such file or directory" : "cannot be read"}\n`);
      code = 1;
    }
  }
  if (args.length > 0 || stdin === null) return code;
  for (;;) {
    const bytes = await machine.step(process, stdin.read(64 << 10));
    if (bytes === null || bytes === undefined) return code;
    print(bytes);
  }
};

const sleep: Program = async ({ machine, process, args: [seconds] }) => {
  await machine.sleep(process, Number(seconds) * 1000);
  return 0;
};

const chmod: Program = ({ tree, args: [mode = "", ...paths], absolute, complain }) => {
  for (const path of paths) {
    const { node } = tree.lookup(absolute(path), { follow: true });
    if (node === null || node.system) {
      complain(`chmod: cannot change '${path}'\n`);
      return 1;
    }
    node.mode = Number.parseInt(mode, 8);
    node.version++;
  }
  return 0;
};

const link: Program = ({ tree, args, absolute }) => {
  const [target = "", path = ""] = args.filter((arg) => !arg.startsWith("-"));
  tree.put(absolute(path), tree.lookup(absolute(path), { follow: false }), tree.newLink(target));
  return 0;
};

const makeFifo: Program = ({ tree, args: [path = ""], absolute }) => {
  tree.put(absolute(path), tree.lookup(absolute(path), { follow: false }), tree.newSpecial(0o644));
  return 0;
};

const makeDirectory: Program = ({ tree, args, absolute }) => {
  for (const path of args.filter((arg) => arg !== "-p")) {
    const place = tree.lookup(absolute(path), { follow: true });
    if (place.node?.kind === "directory" && args.includes("-p")) continue;
    if (args.includes("-p")) tree.makeParents(absolute(path), {});
    tree.put(absolute(path), tree.lookup(absolute(path), { follow: true }), tree.newDirectory(0o755));
  }
  return 0;
};

const removeFile: Program = ({ tree, args, absolute }) => {
  for (const path of args.filter((arg) => !arg.startsWith("-"))) {
    const place = tree.lookup(absolute(path), { follow: false });
    if (place.node !== null) tree.remove(absolute(path), place);
    else if (!args.some((arg) => /^-r?f/.test(arg))) return 1;
  }
  return 0;
};

/** `truncate -s BYTES PATH`: grows by a hole. */
const truncate: Program = ({ tree, args: [, size = "0", path = ""], absolute }) => {
  const { node } = tree.lookup(absolute(path), { follow: true });
  if (node === null) replaceFile(tree, absolute(path), new Uint8Array(), 0o644);
  const file = tree.lookup(absolute(path), { follow: true }).node;
  if (file?.kind !== "file") return 1;
  const holeBytes = Number(size) - nodeSize(file);
  if (holeBytes > 0) file.pieces = [...file.pieces, { holeBytes }];
  else file.pieces = [contentOf(file).slice(0, Number(size))];
  tree.touched(file);
  return 0;
};

/** `kill [-SIGNAL] PID`. */
const kill: Program = async ({ machine, process, args }) => {
  const name = /^-(?:SIG)?(.+)$/.exec(args[0] ?? "")?.[1];
  const signal = name === undefined ? 15 : (signalNumbers[name] ?? Number(name));
  const pid = Number(args.at(-1));
  if (!machine.signal(pid, signal)) return 1;
  await machine.step(process);
  return 0;
};

const stty: Program = ({ args: [what], terminal, print, complain }) => {
  const size = terminal();
  if (size === null || what !== "size") {
    complain("stty: 'standard input': Inappropriate ioctl for device\n");
    return 1;
  }
  print(`${size.rows} ${size.columns}\n`);
  return 0;
};

const tests: Readonly<Record<string, (context: ProgramContext, operand: string) => boolean>> = {
  "-n": (_context, text) => text !== "",
  "-z": (_context, text) => text === "",
  "-t": ({ terminal }) => terminal() !== null,
  "-e": ({ tree, absolute }, path) => tree.lookup(absolute(path), { follow: true }).node !== null,
  "-f": ({ tree, absolute }, path) => tree.lookup(absolute(path), { follow: true }).node?.kind === "file",
  "-d": ({ tree, absolute }, path) => tree.lookup(absolute(path), { follow: true }).node?.kind === "directory",
};

const test: Program = (context) => {
  const [first = "", second = "", third = ""] = context.args.filter((arg) => arg !== "]");
  if (second === "=" || second === "!=") return (first === third) === (second === "=") ? 0 : 1;
  return tests[first]?.(context, second) === true ? 0 : 1;
};

/** Prints the milliseconds since the epoch for `date +%s%3N`, whole seconds otherwise. */
const date: Program = ({ args: [pattern], print }) => {
  print(`${pattern === "+%s%3N" ? Date.now() : Math.floor(Date.now() / 1000)}\n`);
  return 0;
};

const printenv: Program = ({ args: [name], environment, print }) => {
  if (name === undefined) for (const [key, value] of environment) print(`${key}=${value}\n`);
  const value = environment.get(name ?? "");
  if (value !== undefined) print(`${value}\n`);
  return name === undefined || value !== undefined ? 0 : 1;
};

const table: ReadonlyMap<string, Program> = new Map<string, Program>([
  ["true", () => 0],
  [":", () => 0],
  ["false", () => 1],
  ["echo", echo],
  ["printf", printf],
  ["cat", cat],
  ["sleep", sleep],
  ["chmod", chmod],
  ["ln", link],
  ["mkfifo", makeFifo],
  ["mkdir", makeDirectory],
  ["rm", removeFile],
  ["truncate", truncate],
  ["kill", kill],
  ["stty", stty],
  ["test", test],
  ["[", test],
  ["date", date],
  ["printenv", printenv],
  ["env", printenv],
]);

/** Null: there is no such program. */
export async function runProgram(name: string, context: ProgramContext): Promise<number | null> {
  const program = table.get(name);
  if (program === undefined) return null;
  try {
    return await program(context);
  } catch (error) {
    if (!(error instanceof SandboxFileError)) throw error;
    context.complain(`${name}: ${error.message}\n`);
    return 1;
  }
}
