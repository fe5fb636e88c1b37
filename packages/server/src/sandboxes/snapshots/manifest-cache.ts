/**
 * What this process knows of sandboxes' workspaces, so that a snapshot neither fetches the previous manifest nor, after
 * a restore, reads what was just written.
 * @module
 */
import { type Manifest, weightOfAll } from "./manifest.ts";

export interface KnownWorkspace {
  readonly snapshotId: string | null;
  readonly manifest: Manifest;
}

/** By sandbox. */
export interface ManifestCache {
  get(sandboxId: string): KnownWorkspace | null;
  set(sandboxId: string, known: KnownWorkspace): void;
  delete(sandboxId: string): void;
}

/** Of all manifests together: about 120 MB. */
const maximumWeight = 250_000;

interface Held extends KnownWorkspace {
  readonly weight: number;
}

export function createManifestCache(): ManifestCache {
  /** The one used last is the last. */
  const known = new Map<string, Held>();
  let held = 0;
  const remove = (sandboxId: string): void => {
    const found = known.get(sandboxId);
    if (found !== undefined) held -= found.weight;
    known.delete(sandboxId);
  };
  return {
    get(sandboxId) {
      const found = known.get(sandboxId);
      if (found === undefined) return null;
      known.delete(sandboxId);
      known.set(sandboxId, found);
      return found;
    },
    set(sandboxId, entry) {
      remove(sandboxId);
      const weight = weightOfAll(entry.manifest) + 10;
      if (weight > maximumWeight) return;
      known.set(sandboxId, { ...entry, weight });
      held += weight;
      for (const oldest of known.keys()) {
        if (held <= maximumWeight) break;
        remove(oldest);
      }
    },
    delete: remove,
  };
}
