/** What is to be done to the copies, collected and then carried out together. @module */
import { SandboxFileError } from "@exoloop/sandbox/errors";
import { ancestorsBelow, isWithin } from "../path.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import type { Baseline, MountCopies } from "./baseline.ts";
import type { LaidFile } from "./laid-file.ts";
import { type CopyChange, type CopyEntry, inParts, type ProjectionTarget } from "./target.ts";

/** A stored file without its place on a disk. */
export type FileToLay = Omit<LaidFile, "fingerprint"> & { readonly path: string };

interface WantedFile {
  readonly copies: MountCopies;
  readonly file: FileToLay;
}

export interface Laying {
  readonly files: Map<string, WantedFile>;
  readonly directories: Set<string>;
  readonly removals: Set<string>;
  /** Path → where it leads. */
  readonly links: Map<string, string>;
  /** By hash: those of the files that need not be asked for. */
  readonly contents: Map<string, Uint8Array>;
  /** Copies that no newer head may overwrite now. */
  readonly left: Set<string>;
}

export function emptyLaying(): Laying {
  return {
    files: new Map(),
    directories: new Set(),
    removals: new Set(),
    links: new Map(),
    contents: new Map(),
    left: new Set(),
  };
}

export function isEmpty({ files, directories, removals, links }: Laying): boolean {
  return files.size + directories.size + removals.size + links.size === 0;
}

export interface LayingDependencies {
  readonly files: Pick<StoredFiles, "contents">;
  readonly organizationId: string;
}

/**
 * Carries everything out and notes it in the baseline. Every path comes from a row of the database, where it was checked
 * when it was stored, or from the target's own listing.
 * @throws SandboxFileError when the target does not take it
 */
export async function layAll(
  { files, organizationId }: LayingDependencies,
  target: ProjectionTarget,
  baseline: Baseline,
  laying: Laying,
): Promise<void> {
  if (isEmpty(laying)) return;
  baseline.fingerprint = null;
  const removals = [...laying.removals].map((path) => ({ type: "remove" as const, path }));
  const directories = [...laying.directories].sort().map((path) => ({ type: "directory" as const, path }));
  const links = [...laying.links].map(([path, leads]) => ({ type: "link" as const, path, target: leads }));
  const first: CopyChange[] = [...removals, ...directories, ...links];
  if (laying.files.size === 0) await target.pull(first);
  for (const part of inParts(laying.files.values(), ({ file }) => file.size)) {
    const missing = part.map(({ file }) => file.sha256).filter((sha256) => !laying.contents.has(sha256));
    const asked = await files.contents(organizationId, [...new Set(missing)]);
    const changes = part.flatMap(({ copies, file }): CopyChange[] => {
      const bytes = laying.contents.get(file.sha256) ?? asked.get(file.sha256);
      // Redacted since its hash was read: the next revision says what is there instead.
      if (bytes === undefined) return [];
      return [{ type: "file", path: file.path, bytes, mode: modeOf(copies, file) }];
    });
    const fingerprints = await target.pull([...first.splice(0), ...changes]);
    for (const { copies, file } of part) {
      const { path, ...version } = file;
      copies.files.set(path, { ...version, fingerprint: fingerprints.get(path) ?? "" });
      for (const directory of ancestorsBelow(copies.mount.prefix, path)) copies.directories.add(directory);
    }
  }
}

function modeOf({ mount }: MountCopies, { executable }: FileToLay): number {
  if (mount.access === "read_only") return executable ? 0o555 : 0o444;
  return executable ? 0o755 : 0o644;
}

/** Things in the way of what is to be laid: a directory where a file goes, anything else where a directory does. */
export function findObstacles(laying: Laying, roots: readonly string[], entries: readonly CopyEntry[]): CopyEntry[] {
  if (laying.files.size === 0 && laying.directories.size === 0) return [];
  const present = new Map(entries.map((entry) => [entry.path, entry]));
  const found = new Map<string, CopyEntry>();
  const look = (path: string, isDirectory: boolean) => {
    const entry = present.get(path);
    if (entry !== undefined && (entry.kind === "directory") !== isDirectory) found.set(path, entry);
  };
  const lookAbove = (path: string) => {
    const root = roots.find((candidate) => isWithin(candidate, path)) ?? "";
    for (const directory of ancestorsBelow(root, path)) look(directory, true);
  };
  for (const path of laying.files.keys()) {
    // A link or a special file is replaced by the file itself.
    if (present.get(path)?.kind === "directory") look(path, false);
    lookAbove(path);
  }
  for (const path of laying.directories) {
    look(path, true);
    lookAbove(path);
  }
  return [...found.values()];
}

/** Only a command can put a full or overcrowded disk right. */
export function isTargetsFault(error: unknown): error is SandboxFileError {
  return error instanceof SandboxFileError;
}
