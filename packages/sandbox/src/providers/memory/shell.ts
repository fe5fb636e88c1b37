/** Executes what shell-parser.ts read, one process for the shell and one for each program. @module */
import { SandboxFileError } from "../../errors.ts";
import type { CommandOutputChunk, TerminalSize } from "../../session.ts";
import { replaceFile } from "./files.ts";
import { type InputQueue, createInputQueue } from "./input-queue.ts";
import { KilledError, type Machine, type MemoryProcess, signalNumbers } from "./machine.ts";
import { contentOf } from "./nodes.ts";
import { type ProgramContext, runProgram } from "./programs.ts";
import type { ListItem, Redirection, Word } from "./shell-parser.ts";
import type { FileTree } from "./tree.ts";

type Stream = CommandOutputChunk["stream"];

export interface ShellSetting {
  readonly machine: Machine;
  readonly tree: FileTree;
  readonly stdin: InputQueue;
  readonly write: (stream: Stream, bytes: Uint8Array) => void;
  readonly terminal: () => TerminalSize | null;
}

interface Shell extends ShellSetting {
  readonly process: MemoryProcess;
  readonly variables: Map<string, string>;
  directory: string;
  code: number;
  lastBackground: number;
  readonly jobs: Set<Promise<unknown>>;
}

/** Where a command reads and writes. */
interface Plumbing {
  readonly stdin: InputQueue;
  readonly out: (bytes: Uint8Array) => void;
  readonly err: (bytes: Uint8Array) => void;
}

class ShellExit extends Error {
  override readonly name = "ShellExit";
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

function valueOf(shell: Shell, name: string): string {
  if (name === "$") return String(shell.process.pid);
  if (name === "?") return String(shell.code);
  if (name === "!") return String(shell.lastBackground);
  if (name === "PWD") return shell.directory;
  return shell.variables.get(name) ?? "";
}

/** One word becomes none, one or several: an unquoted variable is split at blanks. */
function expand(shell: Shell, word: Word): string[] {
  const fields: string[] = [];
  let current: string | null = null;
  for (const part of word) {
    if (part.type === "text" || part.quoted) {
      current = (current ?? "") + (part.type === "text" ? part.text : valueOf(shell, part.name));
      continue;
    }
    const [first = "", ...more] = valueOf(shell, part.name).trim().split(/\s+/);
    if (first !== "") current = (current ?? "") + first;
    for (const next of more) {
      fields.push(current ?? "");
      current = next;
    }
  }
  return current === null ? fields : [...fields, current];
}

function absolute(shell: Shell, path: string): string {
  return path.startsWith("/") ? path : `${shell.directory.replace(/\/$/, "")}/${path}`;
}

/** Opens a file for writing, as the shell does before the command begins. */
function openOutput(shell: Shell, path: string, append: boolean): (bytes: Uint8Array) => void {
  const { tree } = shell;
  if (path === "/dev/null") return () => {};
  const found = tree.lookup(path, { follow: true });
  if (found.parent === null) throw new SandboxFileError("failed", path, `${path}: No such file or directory`);
  if (found.node === null) replaceFile(tree, path, new Uint8Array(), 0o644);
  const { node } = tree.lookup(path, { follow: true });
  if (node?.kind !== "file" || (node.mode & 0o200) === 0 || node.system)
    throw new SandboxFileError("no_permission", path, `${path}: cannot be written`);
  if (!append) {
    tree.reserve(path, -contentOf(node).length);
    node.pieces = [];
    tree.touched(node);
  }
  return (bytes) => {
    tree.reserve(path, bytes.length);
    node.pieces = [...node.pieces, new Uint8Array(bytes)];
    tree.touched(node);
  };
}

function openInput(shell: Shell, path: string): InputQueue {
  const queue = createInputQueue();
  const node = path === "/dev/null" ? null : shell.tree.lookup(path, { follow: true }).node;
  if (path !== "/dev/null" && node?.kind !== "file")
    throw new SandboxFileError("failed", path, `${path}: No such file or directory`);
  void (async () => {
    if (node?.kind === "file") await queue.write(contentOf(node));
    queue.close();
  })();
  return queue;
}

function redirect(shell: Shell, redirections: readonly Redirection[], outer: Plumbing): Plumbing {
  let { stdin, out, err } = outer;
  for (const { descriptor, operator, target } of redirections) {
    const text = expand(shell, target).join(" ");
    if (operator === "<") stdin = openInput(shell, absolute(shell, text));
    else if (operator === ">&" && descriptor === 2) err = out;
    else if (operator === ">&") out = err;
    else {
      const write = openOutput(shell, absolute(shell, text), operator === ">>");
      if (descriptor === 2) err = write;
      else out = write;
    }
  }
  return { stdin, out, err };
}

/** `read NAME …`: one line, its blanks around cut off. */
async function readLine(shell: Shell, names: readonly string[], stdin: InputQueue): Promise<number> {
  const bytes = await shell.machine.step(shell.process, stdin.read(64 << 10, true));
  const line = Buffer.from(bytes ?? []).toString();
  const fields = line.trim().split(/\s+/);
  const variables = names.filter((name) => !name.startsWith("-"));
  for (const [index, name] of variables.entries())
    shell.variables.set(name, index === variables.length - 1 ? fields.slice(index).join(" ") : (fields[index] ?? ""));
  return line.endsWith("\n") ? 0 : 1;
}

/** What changes the shell itself. Null: it is a program. */
async function runBuiltin(
  shell: Shell,
  name: string,
  args: readonly string[],
  plumbing: Plumbing,
): Promise<number | null> {
  const [first = ""] = args;
  if (name === "exit") throw new ShellExit(first === "" ? shell.code : Number(first) & 0xff);
  if (name === "read") return readLine(shell, args, plumbing.stdin);
  if (name === "pwd") return plumbing.out(Buffer.from(`${shell.directory}\n`)) ?? 0;
  if (name === "cd") {
    const path = absolute(shell, first);
    if (shell.tree.lookup(path, { follow: true }).node?.kind !== "directory") return 1;
    shell.directory = path;
    return 0;
  }
  if (name === "wait") return (await shell.machine.step(shell.process, Promise.all(shell.jobs)), 0);
  if (name === "export") {
    for (const [, key = "", value = ""] of args.map((arg) => /^(\w+)=(.*)$/s.exec(arg) ?? []))
      shell.variables.set(key, value);
    return 0;
  }
  if (name === "trap") {
    // Only signals that are ignored: a handler of one's own is not understood.
    if (first !== "") return 2;
    for (const signal of args.slice(1))
      shell.process.ignored.add(signalNumbers[signal.replace(/^SIG/, "")] ?? Number(signal));
    return 0;
  }
  return null;
}

function programContext(
  shell: Shell,
  process: MemoryProcess,
  args: readonly string[],
  plumbing: Plumbing,
): ProgramContext {
  return {
    machine: shell.machine,
    tree: shell.tree,
    process,
    args,
    stdin: plumbing.stdin,
    environment: shell.variables,
    absolute: (path) => absolute(shell, path),
    print: (text) => plumbing.out(typeof text === "string" ? Buffer.from(text) : text),
    complain: (text) => plumbing.err(Buffer.from(text)),
    terminal: shell.terminal,
  };
}

/** A program in a process of its own, ended by its own end or by a signal. */
async function runInProcess(shell: Shell, words: readonly string[], plumbing: Plumbing): Promise<number> {
  const [name = "", ...args] = words;
  const process = shell.machine.start(name.slice(0, 15), shell.process);
  try {
    const code = await runProgram(name, programContext(shell, process, args, plumbing));
    if (code !== null) return code;
    plumbing.err(Buffer.from(`bash: line 1: ${name}: command not found\n`));
    return 127;
  } catch (error) {
    if (error instanceof KilledError) return 128 + error.signal;
    throw error;
  } finally {
    shell.machine.end(process);
  }
}

async function runItem(shell: Shell, { command, background }: ListItem, outer: Plumbing): Promise<number> {
  const words = command.words.flatMap((word) => expand(shell, word));
  const assigned = words.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word));
  const assignments = words.slice(0, assigned < 0 ? words.length : assigned);
  for (const assignment of assignments) {
    const at = assignment.indexOf("=");
    shell.variables.set(assignment.slice(0, at), assignment.slice(at + 1));
  }
  const plumbing = redirect(shell, command.redirections, outer);
  const rest = words.slice(assignments.length);
  const [name, ...args] = rest;
  if (name === undefined) return 0;
  if (background) {
    const job = runInProcess(shell, rest, { ...plumbing, stdin: openInput(shell, "/dev/null") });
    shell.lastBackground = shell.machine.living().at(-1)?.pid ?? 0;
    shell.jobs.add(job.catch(() => null));
    return 0;
  }
  const code = await runBuiltin(shell, name, args, plumbing);
  if (code !== null) return code;
  const inside = /^(?:kill|echo|printf|test|\[|true|false|:)$/.test(name);
  if (!inside) return runInProcess(shell, rest, plumbing);
  return (await runProgram(name, programContext(shell, shell.process, args, plumbing))) ?? 127;
}

/** Runs a whole command. @throws KilledError when a signal ended its shell. */
export async function runShell(
  setting: ShellSetting,
  process: MemoryProcess,
  items: readonly ListItem[],
  environment: ReadonlyMap<string, string>,
  directory: string,
): Promise<number> {
  const variables = new Map(environment);
  const shell: Shell = { ...setting, process, variables, directory, code: 0, lastBackground: 0, jobs: new Set() };
  const outer: Plumbing = {
    stdin: setting.stdin,
    out: (bytes) => setting.write("stdout", bytes),
    err: (bytes) => setting.write("stderr", bytes),
  };
  try {
    for (const item of items) {
      await shell.machine.step(process);
      if ((item.when === "and" && shell.code !== 0) || (item.when === "or" && shell.code === 0)) continue;
      try {
        shell.code = await runItem(shell, item, outer);
      } catch (error) {
        if (!(error instanceof SandboxFileError)) throw error;
        outer.err(Buffer.from(`bash: line 1: ${error.message}\n`));
        shell.code = 1;
      }
    }
    // A signal to the group reached the shell too.
    await shell.machine.step(process);
  } catch (error) {
    if (!(error instanceof ShellExit)) throw error;
    return error.code;
  }
  return shell.code;
}
