/** What a sandbox's copies were before a command could change them, as the worker that laid them remembers it. @module */
import type { StoredMount } from "../mounts.ts";
import type { SandboxKey } from "../postgres/projection-records.ts";
import type { LaidFile } from "./laid-file.ts";

/** The copies of one mount. */
export interface MountCopies {
  /** As it was when a command could last see it. */
  readonly mount: StoredMount;
  /** Null: nothing of it was laid yet. */
  readonly revision: number | null;
  readonly files: Map<string, LaidFile>;
  readonly directories: Set<string>;
}

export interface Baseline {
  /** By the mount's key. */
  readonly copies: Map<string, MountCopies>;
  /** Of the whole target when it last held nothing that is not in here, or was told; null when that is not known. */
  fingerprint: string | null;
  /** The directory that the default memory is; null: none was laid. */
  defaultMemory: string | null;
  /** What the model was told and need not hear again: path and fingerprint. */
  readonly told: Set<string>;
  /** Lines for the next report: found while nobody could be told. */
  readonly pending: string[];
}

export function emptyBaseline(): Baseline {
  return { copies: new Map(), fingerprint: null, defaultMemory: null, told: new Set(), pending: [] };
}

export function emptyCopies(mount: StoredMount): MountCopies {
  return { mount, revision: null, files: new Map(), directories: new Set() };
}

/** Whether the copies are those of these mounts at these revisions. */
export function isCurrent(
  baseline: Baseline,
  mounts: readonly StoredMount[],
  revisions: ReadonlyMap<string, number>,
): boolean {
  if (mounts.length !== baseline.copies.size) return false;
  return mounts.every((mount) => {
    const copies = baseline.copies.get(mount.key);
    return copies !== undefined && isSamePlace(copies.mount, mount) && copies.revision === revisions.get(mount.key);
  });
}

export function isSamePlace(left: StoredMount, right: StoredMount): boolean {
  return left.prefix === right.prefix && left.access === right.access;
}

/** Baselines of the sandboxes that this process serves; the least recently used are forgotten. */
export interface BaselineCache {
  get(key: SandboxKey): Baseline | undefined;
  set(key: SandboxKey, baseline: Baseline): void;
  delete(key: SandboxKey): void;
}

export function createBaselineCache(capacity: number = 256): BaselineCache {
  const baselines = new Map<string, Baseline>();
  const nameOf = (key: SandboxKey) => `${key.sandboxId}/${key.generation}`;
  return {
    get: (key) => baselines.get(nameOf(key)),
    set(key, baseline) {
      baselines.delete(nameOf(key));
      baselines.set(nameOf(key), baseline);
      const oldest = baselines.keys().next().value;
      if (baselines.size > capacity && oldest !== undefined) baselines.delete(oldest);
    },
    delete: (key) => void baselines.delete(nameOf(key)),
  };
}
