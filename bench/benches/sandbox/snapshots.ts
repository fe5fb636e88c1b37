/** A workspace of 50 MB: stored again after 1 MB of it changed, and restored into a new sandbox. @module */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import type { PlacedEntry } from "@exoloop/sandbox/session";
import { createDirectoryBlobStore } from "@exoloop/server/blobs/directory-store";
import { captureWorkspace } from "@exoloop/server/sandboxes/snapshots/capture";
import type { Manifest } from "@exoloop/server/sandboxes/snapshots/manifest";
import { restoreWorkspace } from "@exoloop/server/sandboxes/snapshots/restore";
import { storeManifest } from "@exoloop/server/sandboxes/snapshots/stored-manifest";
import { withSandbox } from "./sandboxes.ts";

const root = "/workspace";
const organizationId = `org_${"0".repeat(26)}`;
const fileCount = 500;
const fileBytes = 100_000;
/** Of which this many change: 1 MB. */
const changedCount = 10;

/** Half of it random, half of it text, as a project with its dependencies is. */
function makeContent(): Buffer {
  const line = `${randomBytes(24).toString("hex")} // a line of a program\n`;
  return Buffer.concat([
    randomBytes(fileBytes / 2),
    Buffer.from(line.repeat(1 + fileBytes / 2 / line.length)),
  ]).subarray(0, fileBytes);
}

function makeEntries(indices: readonly number[]): PlacedEntry[] {
  return indices.map((index) => ({
    kind: "file",
    path: `${root}/src-${index % 25}/file-${index}.ts`,
    mode: 0o644,
    content: makeContent(),
  }));
}

export interface SnapshotTimes {
  /** Milliseconds until manifest and packs are in the blob store, on disk. */
  readonly snapshot: readonly number[];
  /** Milliseconds until the workspace of a new, empty sandbox is verified to be the manifest's. */
  readonly restore: readonly number[];
}

type Blobs = ReturnType<typeof createDirectoryBlobStore>;

async function capture(sandbox: Sandbox, blobs: Blobs, previous: Manifest | null): Promise<Manifest> {
  const sandboxId = sandbox.reference.id;
  const request = { session: sandbox.session, sandboxId, root, previous, blobs, organizationId };
  const { manifest } = await captureWorkspace(request);
  await storeManifest(blobs, organizationId, manifest);
  return manifest;
}

export function measureSnapshots(
  provider: SandboxProvider,
  directory: string,
  rounds: number,
  progress: (text: string) => void,
): Promise<SnapshotTimes> {
  const blobs = createDirectoryBlobStore(join(directory, "blobs"));
  const all = Array.from({ length: fileCount }, (_, index) => index);
  const times = { snapshot: [] as number[], restore: [] as number[] };
  return withSandbox(provider, async (sandbox) => {
    await sandbox.session.placeEntries({ entries: makeEntries(all) });
    let manifest = await capture(sandbox, blobs, null);
    for (let round = 0; round < rounds; round += 1) {
      const changed = all.filter((index) => (index + round * 7) % (fileCount / changedCount) === 0);
      await sandbox.session.placeEntries({ entries: makeEntries(changed) });
      const startedAt = performance.now();
      manifest = await capture(sandbox, blobs, manifest);
      times.snapshot.push(performance.now() - startedAt);
      times.restore.push(await timeRestore(provider, blobs, manifest));
      if (round % 50 === 49) progress(`snapshots: ${round + 1} of ${rounds}`);
    }
    return times;
  });
}

function timeRestore(provider: SandboxProvider, blobs: Blobs, manifest: Manifest): Promise<number> {
  return withSandbox(provider, async ({ session, reference }) => {
    const startedAt = performance.now();
    const request = { session, sandboxId: reference.id, root, manifest, present: null, blobs, organizationId };
    await restoreWorkspace(request);
    return performance.now() - startedAt;
  });
}
