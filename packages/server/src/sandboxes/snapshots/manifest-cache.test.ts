import { expect, it } from "vitest";
import type { Manifest } from "./manifest.ts";
import { createManifestCache } from "./manifest-cache.ts";

const empty: Manifest = { sandboxId: "sbx_1", directories: [], links: [], files: [], leftOut: 0 };
const many = (count: number) => Array.from({ length: count }, (_, index) => index);
const hole = { holeBytes: 4096 };
const file = { mode: 0o644, modifiedAt: 1, size: 1, fingerprint: null };

it.each<[string, Partial<Manifest>]>([
  ["directories", { directories: many(100_000).map((index) => ({ path: `${index}`, mode: 0o755 })) }],
  ["links", { links: many(100_000).map((index) => ({ path: `${index}`, target: "x" })) }],
  ["long targets", { links: many(6_000).map((index) => ({ path: `${index}`, target: "x".repeat(4_090) })) }],
  ["files", { files: many(100_000).map((index) => ({ ...file, path: `${index}`, pieces: [hole] })) }],
  ["pieces", { files: many(4).map((index) => ({ ...file, path: `${index}`, pieces: many(100_000).map(() => hole) })) }],
])("keeps two workspaces of so many %s, not three", (_, entries) => {
  const cache = createManifestCache();
  for (const sandboxId of ["first", "second", "third"]) {
    cache.set(sandboxId, { snapshotId: null, manifest: { ...empty, ...entries } });
  }
  expect(["first", "second", "third"].map((sandboxId) => cache.get(sandboxId) !== null)).toEqual([false, true, true]);
});
