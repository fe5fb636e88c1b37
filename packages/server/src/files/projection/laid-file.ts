/** One copy of a stored file in a sandbox. Pure. @module */
import type { CopyEntry } from "./target.ts";

/** A stored version, and the state of its copy on disk. */
export interface LaidFile {
  readonly version: number;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  readonly executable: boolean;
  /** Of the copy when it was known to equal the version; empty when it is missing or differs. */
  readonly fingerprint: string;
}

export function isExecutable(entry: Pick<CopyEntry, "mode">): boolean {
  return (entry.mode & 0o100) !== 0;
}
