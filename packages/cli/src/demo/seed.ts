/** The project that the demo's agent repairs, and how it gets into the session's sandbox: by a command. @module */
import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";

export interface SeedFile {
  /** Relative, with slashes. */
  readonly path: string;
  readonly content: Uint8Array;
}

/** All files below a directory of ours, in the order of their paths. */
export async function readSeed(directory: string): Promise<readonly SeedFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files = paths.toSorted().map(async (path) => ({
    path: relative(directory, path).split(sep).join("/"),
    content: new Uint8Array(await readFile(path)),
  }));
  return Promise.all(files);
}

const safePath = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;

/**
 * A command that writes the files into the workspace and commits them. Contents travel as base 64: nothing in a file
 * can be read as a command.
 * @throws RangeError for a path that is not plain.
 */
export function seedCommand(files: readonly SeedFile[]): string {
  const writes = files.map(({ path, content }) => {
    if (!safePath.test(path) || path.split("/").includes("..")) throw new RangeError(`seed path ${path}`);
    const base64 = Buffer.from(content)
      .toString("base64")
      .replace(/.{1,76}/g, "$&\n")
      .trimEnd();
    return `mkdir -p "$(dirname '${path}')"\nbase64 -d > '${path}' <<'END_OF_FILE'\n${base64}\nEND_OF_FILE`;
  });
  return [
    "set -eu",
    ...writes,
    "git init --quiet --initial-branch=main",
    "git add --all",
    "git -c user.name='Exoloop demo' -c user.email=demo@example.invalid commit --quiet --message 'Import the project'",
    "git log --oneline",
  ].join("\n");
}
