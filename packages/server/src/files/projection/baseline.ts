/**
 * What a sandbox's copies were before a command could change them. Kept in memory for the worker that laid them;
 * another worker, or this one after a restart, derives it again from what is on the sandbox's disk, the history of each
 * path, and the revisions that were recorded before the last command.
 * @module
 */
import type { TreeEntry } from "@exoloop/sandbox/session";
import type { Workspace } from "../../sandboxes/workspace.ts";
import { mountOf, type StoredMount } from "../mounts.ts";
import type { SandboxKey } from "../postgres/projection-records.ts";
import type { PastFile } from "../postgres/rows.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import { sha256Of } from "../text.ts";
import { isExecutable, type LaidFile } from "./laid-file.ts";

export interface Baseline {
  readonly files: Map<string, LaidFile>;
  /** Key of a mount → revision. */
  readonly revisions: Map<string, number>;
  /** What the model was told and need not hear again: path and fingerprint. */
  readonly told: Set<string>;
  /** Lines for the next report: found while nobody could be told. */
  readonly pending: string[];
}

export function emptyBaseline(): Baseline {
  return { files: new Map(), revisions: new Map(), told: new Set(), pending: [] };
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

export interface RebuildRequest {
  readonly files: StoredFiles;
  readonly organizationId: string;
  readonly mounts: readonly StoredMount[];
  /** As recorded before the last command. */
  readonly revisions: ReadonlyMap<string, number>;
  readonly session: Workspace["session"];
  readonly entries: readonly TreeEntry[];
}

/**
 * A copy whose content is the recorded version, or any later one, was laid or saved as that version. Any other copy was
 * changed by a command that began from the recorded version.
 */
export async function rebuildBaseline(request: RebuildRequest): Promise<Baseline> {
  const { files, organizationId, mounts, revisions } = request;
  const baseline = emptyBaseline();
  const recorded = new Map<string, PastFile>();
  for (const mount of mounts) {
    const revision = revisions.get(mount.key) ?? 0;
    baseline.revisions.set(mount.key, revision);
    for (const past of await files.atRevision(organizationId, mount, revision)) recorded.set(past.path, past);
  }
  for (const { path, version, sha256, executable } of recorded.values()) {
    if (sha256 !== null) baseline.files.set(path, { version, sha256, executable, fingerprint: "" });
  }
  const copies = await hashCopies(request);
  const versions = [];
  for (const mount of mounts) {
    const inside = [...copies].filter(([path]) => mountOf([mount], path) !== undefined);
    const hashes = [...new Set(inside.map(([, { sha256 }]) => sha256))];
    const paths = inside.map(([path]) => path);
    versions.push(...(await files.projections.versionsOfContents(organizationId, mount, paths, hashes)));
  }
  for (const [path, { sha256, entry }] of copies) {
    const floor = recorded.get(path)?.version ?? 0;
    const known = versions.filter(
      (version) => version.path === path && version.sha256 === sha256 && version.version >= floor,
    );
    const version = Math.max(...known.map((candidate) => candidate.version));
    if (!Number.isFinite(version)) continue;
    baseline.files.set(path, { version, sha256, executable: isExecutable(entry), fingerprint: entry.fingerprint });
  }
  return baseline;
}

async function hashCopies({ session, entries, mounts }: RebuildRequest) {
  const copies = new Map<string, { readonly sha256: string; readonly entry: TreeEntry }>();
  for (const entry of entries) {
    const mount = mountOf(mounts, entry.path);
    if (entry.kind !== "file" || mount === undefined) continue;
    if (entry.size > Math.max(mount.maximumTextBytes, mount.maximumBinaryBytes)) continue;
    const bytes = await session.readBinaryFile({ path: entry.path });
    if (bytes !== null) copies.set(entry.path, { sha256: sha256Of(bytes), entry });
  }
  return copies;
}
