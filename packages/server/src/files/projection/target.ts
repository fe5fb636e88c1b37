/**
 * What a projection needs of a place that holds copies: four verbs, so that the same code serves a sandbox of this
 * machine and one that can be reached by commands alone.
 * @module
 */
import type { TreeEntry } from "@exoloop/sandbox/session";

/** One thing below the stored roots, as it is on the target's disk. */
export type CopyEntry = Pick<TreeEntry, "path" | "kind" | "size" | "mode" | "fingerprint" | "linkTarget">;

export type CopyChange =
  | { readonly type: "file"; readonly path: string; readonly bytes: Uint8Array; readonly mode: number }
  | { readonly type: "directory"; readonly path: string }
  | { readonly type: "link"; readonly path: string; readonly target: string }
  /** Whatever is there, with all below it; a link itself, not where it leads. Nothing where nothing is. */
  | { readonly type: "remove"; readonly path: string };

export interface FetchedCopy {
  readonly path: string;
  /** Null: it is gone, is no regular file, cannot be read, or has more bytes than were allowed. */
  readonly bytes: Uint8Array | null;
  /** Of the copy when it had been read: another one than was listed says that it changed meanwhile. */
  readonly fingerprint: string;
}

/** Paths are absolute, as the session sees them, and come from rows or from `list`. */
export interface ProjectionTarget {
  /**
   * Removes first, the outermost only; then directories, links and files in the order given, with their parents. Tells
   * the fingerprints of the files and links that it has laid; where it cannot, the path is left out.
   * @throws SandboxFileError at the first that it could not do; those before it are done
   */
  pull(changes: readonly CopyChange[]): Promise<ReadonlyMap<string, string>>;
  /** Of everything below the stored roots: the same for as long as nothing there changes. */
  fingerprint(): Promise<string>;
  /**
   * Everything below the stored roots, links not followed; or what is at these paths, in any order. Asked right after
   * `fingerprint` it tells what that saw.
   * @throws SandboxFileError `too_large`
   */
  list(paths?: readonly string[]): Promise<readonly CopyEntry[]>;
  /** In the order asked for. The caller bounds their number and size. */
  fetch(paths: readonly string[], maximumBytes: number): Promise<readonly FetchedCopy[]>;
}

/** Of one request, so that what is held at once is bounded. */
export const mostAtOnce = { files: 500, bytes: 16 * 1024 * 1024 };

/**
 * Parts that one request carries.
 * @example for (const part of inParts(entries, (entry) => entry.size)) await target.fetch(part.map(pathOf), most)
 */
export function* inParts<Item>(items: Iterable<Item>, sizeOf: (item: Item) => number): Generator<readonly Item[]> {
  let part: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (part.length > 0 && (bytes + size > mostAtOnce.bytes || part.length >= mostAtOnce.files)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(item);
    bytes += size;
  }
  if (part.length > 0) yield part;
}
