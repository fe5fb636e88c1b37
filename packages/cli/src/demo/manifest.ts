/**
 * What a workspace holds: one digest per file. Read on the host from a dead sandbox's directory, and inside its
 * replacement by a command; the two are comparable.
 * @module
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";

/** Relative path → SHA-256 of the content, or `link:` and the target. */
export type Manifest = ReadonlyMap<string, string>;

const maximumFiles = 20_000;
const maximumFileBytes = 64 * 2 ** 20;

export interface HostManifest {
  readonly files: Manifest;
  /** Files that changed at or after the given instant. */
  readonly recent: ReadonlySet<string>;
}

/**
 * Reads a directory whose content is not to be trusted: links are not followed, anything but files, directories and
 * links is left out.
 * @param recentSince milliseconds since the epoch.
 * @throws RangeError above 20,000 files or 64 MiB in one file.
 */
export async function readManifest(directory: string, recentSince = Number.POSITIVE_INFINITY): Promise<HostManifest> {
  const manifest = new Map<string, string>();
  const recent = new Set<string>();
  const visit = async (path: string, name: string): Promise<void> => {
    const status = await lstat(path);
    if (!status.isDirectory() && status.mtimeMs >= recentSince) recent.add(name);
    if (status.isDirectory()) {
      for (const child of await readdir(path)) await visit(join(path, child), name === "" ? child : `${name}/${child}`);
    } else if (status.isSymbolicLink()) {
      manifest.set(name, `link:${await readlink(path)}`);
    } else if (status.isFile()) {
      if (manifest.size >= maximumFiles || status.size > maximumFileBytes)
        throw new RangeError(`${name}: too much for the demo`);
      manifest.set(name, await digestFile(path));
    }
  };
  await visit(directory, "");
  return { files: manifest, recent };
}

async function digestFile(path: string): Promise<string> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return createHash("sha256")
      .update(await handle.readFile())
      .digest("hex");
  } finally {
    await handle.close();
  }
}

/** Prints what {@link parseManifest} reads. Runs in the workspace. */
export const manifestCommand = [
  "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum --zero | tr '\\0' '\\n'",
  `find . -type l -printf 'link:%l  %p\\n' | LC_ALL=C sort`,
].join("; ");

/** Lines of `<digest>  ./<path>`; others are left out. */
export function parseManifest(output: string): Manifest {
  const lines = output.split("\n").flatMap((line): [string, string][] => {
    const match = /^([0-9a-f]{64}|link:.*?) {2}\.\/(.+)$/.exec(line);
    return match?.[1] === undefined || match[2] === undefined ? [] : [[match[2], match[1]]];
  });
  return new Map(lines);
}

/** Paths that are not the same in both, in order. */
export function differingPaths(one: Manifest, other: Manifest, ignored: ReadonlySet<string> = new Set()): string[] {
  const paths = new Set([...one.keys(), ...other.keys()]);
  return [...paths].filter((path) => !ignored.has(path) && one.get(path) !== other.get(path)).toSorted();
}
