/**
 * Packs that are given up: the files in them are read and packed again. Without it a workspace that changes for months
 * would lie scattered over thousands of packs, most of whose content nobody needs.
 * @module
 */
import { inTurns } from "./in-turns.ts";
import { isHole, type Manifest, maximumPackBytes, type Pack } from "./manifest.ts";

/** A pack of which less is used is given up. */
const leastUse = 0.25;
/** Below it a pack is small; so many of them are kept. */
const smallPackBytes = maximumPackBytes / 4;
const smallPacksAtMost = 32;

/** Keys of the packs whose chunks are not to be used again. */
export async function stalePacks(manifest: Manifest): Promise<ReadonlySet<string>> {
  const packs = new Map<string, Pack>();
  const used = new Map<string, number>();
  const counted = new Set<string>();
  for await (const files of inTurns(manifest.files)) {
    for (const chunk of files.flatMap(({ pieces }) => pieces)) {
      if (isHole(chunk) || counted.has(chunk.sha256)) continue;
      counted.add(chunk.sha256);
      packs.set(chunk.pack.sha256, chunk.pack);
      used.set(chunk.pack.sha256, (used.get(chunk.pack.sha256) ?? 0) + chunk.length);
    }
  }
  const all = [...packs.values()];
  const sparse = all.filter((pack) => (used.get(pack.sha256) ?? 0) < pack.size * leastUse);
  const small = all.filter((pack) => pack.size < smallPackBytes);
  const given = small.length > smallPacksAtMost ? [...sparse, ...small] : sparse;
  return new Set(given.map((pack) => pack.sha256));
}
