/**
 * What this process knows of sandboxes' workspaces, so that a snapshot neither fetches the previous manifest nor, after
 * a restore, reads what was just written.
 * @module
 */
import type { Manifest } from "./manifest.ts";

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

/** Files of all manifests together: about 100 MB. */
const maximumFiles = 250_000;

export function createManifestCache(): ManifestCache {
  /** The one used last is the last. */
  const known = new Map<string, KnownWorkspace>();
  const files = ({ manifest }: KnownWorkspace) => manifest.files.length + 10;
  let held = 0;
  const remove = (sandboxId: string): void => {
    const found = known.get(sandboxId);
    if (found !== undefined) held -= files(found);
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
      if (files(entry) > maximumFiles) return;
      known.set(sandboxId, entry);
      held += files(entry);
      for (const oldest of known.keys()) {
        if (held <= maximumFiles) break;
        remove(oldest);
      }
    },
    delete: remove,
  };
}
