/** The file system of this machine with the tools for it: Node.js' own calls, `find`, ripgrep. @module */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, lstat, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Contender, Unavailable } from "./contender.ts";
import type { Corpus } from "./corpus.ts";

export async function createDisk(directory: string, corpus: Corpus, ripgrep: Ripgrep | null): Promise<Contender> {
  const root = join(directory, "disk");
  const made = new Set<string>();
  for (const { path, text } of corpus.files) {
    const target = join(root, path);
    if (!made.has(dirname(target))) await mkdir(dirname(target), { recursive: true });
    made.add(dirname(target));
    await writeFile(target, text);
  }
  await mkdir(join(root, "new"));
  return {
    name: "disk",
    read: (path) => readFile(join(root, path), "utf8"),
    write: (path, text) => replaceFile(join(root, path), text),
    async edit(path, oldText, newText) {
      const target = join(root, path);
      await replaceFile(
        target,
        (await readFile(target, "utf8")).replace(oldText, () => newText),
      );
    },
    async list(path) {
      const names = await readdir(join(root, path));
      const found = await Promise.all(names.map((name) => lstat(join(root, path, name))));
      return found.length;
    },
    glob: (part, ending) => countLines("find", [".", "-type", "f", "-name", `*${part}*${ending}`], root),
    grep(pattern, maximum) {
      if (ripgrep === null) return Promise.reject(new Unavailable("there is no ripgrep on this machine"));
      const options = ["--no-config", "--line-number", "--no-heading", "--with-filename", "--regexp", pattern, "."];
      return countLines(ripgrep.path, options, root, maximum);
    },
    close: () => Promise.resolve(),
  };
}

/** Whole or not at all, and there after a power cut. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Lines that a program prints; ended as by `head` when they are enough. */
async function countLines(
  program: string,
  options: readonly string[],
  directory: string,
  maximum = Infinity,
): Promise<number> {
  const child = spawn(program, options, { cwd: directory, stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  let lines = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines += 1;
    if (lines >= maximum) break;
  }
  child.kill();
  await closed;
  return Math.min(lines, maximum);
}

export interface Ripgrep {
  readonly path: string;
  /** As it says itself. */
  readonly version: string;
}

/** That of the package, else the machine's. Null where there is none. */
export async function findRipgrep(): Promise<Ripgrep | null> {
  const packaged = await import("@vscode/ripgrep").then(({ rgPath }) => rgPath).catch(() => null);
  for (const path of packaged === null ? ["rg"] : [packaged, "rg"]) {
    try {
      const version = execFileSync(path, ["--version"], { encoding: "utf8" }).split("\n")[0] ?? "";
      return { path, version };
    } catch {
      // The next one.
    }
  }
  return null;
}
