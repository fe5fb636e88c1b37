import { createId } from "@exoloop/protocol/ids";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import type { SandboxSession, TreeEntry } from "@exoloop/sandbox/session";
import { createRandom } from "@exoloop/sandbox/testing/random";
import { beforeEach, describe, expect, it } from "vitest";
import { captureWorkspace } from "./capture.ts";
import { type Manifest, packsOf, sameWorkspace } from "./manifest.ts";
import { decodeManifest, encodeManifest } from "./manifest-format.ts";
import { restoreWorkspace } from "./restore.ts";
import {
  changeRandomly,
  createMemoryBlobs,
  createSandbox,
  describeTree,
  file,
  noise,
  place,
  testRoot as root,
} from "./testing.ts";

const provider = createMemoryProvider();
const organizationId = createId("organization");
let blobs: ReturnType<typeof createMemoryBlobs>;
let sandbox: Sandbox;
beforeEach(async () => {
  blobs = createMemoryBlobs();
  sandbox = await createSandbox(provider);
});

function capture(from: Sandbox, previous: Manifest | null = null, session = from.session) {
  const { store } = blobs;
  return captureWorkspace({ session, sandboxId: from.reference.id, root, previous, blobs: store, organizationId });
}

function restore(manifest: Manifest, into: Sandbox, present: Manifest | null = null) {
  const { store } = blobs;
  const { session, reference } = into;
  return restoreWorkspace({ session, sandboxId: reference.id, root, manifest, present, blobs: store, organizationId });
}

/** The session with some verbs replaced. */
function changed(session: SandboxSession, verbs: Partial<SandboxSession>): SandboxSession {
  return { ...session, ...verbs };
}

/** Entries one at a time. */
function scanning(list: () => Promise<readonly TreeEntry[]>): SandboxSession["scanTree"] {
  return async function* () {
    for (const entry of await list()) yield [entry];
  };
}

describe("a workspace and its snapshot", () => {
  it("are equal for 200 random histories, whatever was in the sandbox before", async () => {
    const random = createRandom(20_261_126);
    let previous: Manifest | null = null;
    const older: { readonly manifest: Manifest; readonly tree: unknown }[] = [];
    let reused = await createSandbox(provider);
    let present: Manifest | null = null;
    for (let round = 0; round < 200; round += 1) {
      for (let change = random.below(6); change >= 0; change -= 1) await changeRandomly(random, sandbox.session);
      const { manifest } = await capture(sandbox, previous);
      const tree = await describeTree(sandbox.session);
      previous = await decodeManifest(await encodeManifest(manifest));
      expect(sameWorkspace(previous, manifest)).toBe(true);
      older.push({ manifest: previous, tree });
      // Into an empty sandbox, or over what the last round left; this state, or any older one.
      const target = random.below(3) === 0 ? random.pick(older) : { manifest: previous, tree };
      if (random.below(3) === 0) [reused, present] = [await createSandbox(provider), null];
      if (random.below(3) === 0) await changeRandomly(random, reused.session);
      present = await restore(target.manifest, reused, present);
      expect(await describeTree(reused.session)).toEqual(target.tree);
    }
  }, 60_000);

  it("keeps links, modes, times, holes, empty directories; leaves out what is special", async () => {
    await place(
      sandbox.session,
      { kind: "directory", path: `${root}/empty`, mode: 0o700 },
      { kind: "directory", path: `${root}/closed`, mode: 0o555 },
      { kind: "symlink", path: `${root}/dangling`, target: "/nowhere/../x" },
      file("none", "for nobody", 0o000),
      { ...file("old", "x"), modifiedAt: 981_173_106_123 },
    );
    const scanTree = scanning(async () => [
      ...(await sandbox.session.listTree({ path: root })),
      {
        path: `${root}/socket`,
        kind: "other",
        size: 0,
        allocatedBytes: 0,
        mode: 0o600,
        modifiedAt: 0,
        fingerprint: "1",
        linkTarget: null,
      },
    ]);
    const { manifest } = await capture(sandbox, null, changed(sandbox.session, { scanTree }));
    expect(manifest.leftOut).toBe(1);
    const other = await createSandbox(provider);
    await restore(manifest, other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });

  it("holds a large file in chunks, several times the memory of a pack", async () => {
    const content = noise(19 * 1024 ** 2 + 7);
    await place(sandbox.session, file("large", content), file("again", content), file("small", "s"));
    const { manifest, stored } = await capture(sandbox);
    // The second one is recognised chunk by chunk.
    expect(stored.reduce((sum, blob) => sum + blob.size, 0)).toBeLessThan(content.length * 1.01);
    expect(manifest.files.map(({ pieces }) => pieces.length)).toEqual([5, 5, 1]);
    const other = await createSandbox(provider);
    await restore(manifest, other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });
});

describe("capturing", () => {
  it("reads and stores only what has changed", async () => {
    for (let index = 0; index < 100; index += 1) await place(sandbox.session, file(`f${index}`, noise(1000)));
    const first = await capture(sandbox);
    expect(first.filesRead).toBe(100);
    const unchanged = await capture(sandbox, first.manifest);
    expect([unchanged.filesRead, unchanged.stored]).toEqual([0, []]);
    expect(sameWorkspace(unchanged.manifest, first.manifest)).toBe(true);
    await place(sandbox.session, file("f7", "new"), file("f8", noise(1000)));
    await sandbox.session.deleteFile({ path: `${root}/f9` });
    const second = await capture(sandbox, first.manifest);
    expect(second.filesRead).toBe(2);
    expect(second.stored.length).toBe(1);
    expect(sameWorkspace(second.manifest, first.manifest)).toBe(false);
    const other = await createSandbox(provider);
    await restore(second.manifest, other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });

  it("takes longer than a tick of a kernel's clock, within which two changes look like one", async () => {
    const startedAt = performance.now();
    await capture(sandbox);
    expect(performance.now() - startedAt).toBeGreaterThan(10);
  });

  it("trusts no fingerprint of another sandbox, and stores nothing that it knows", async () => {
    await place(sandbox.session, file("a", "one"));
    const { manifest } = await capture(sandbox);
    const other = await createSandbox(provider);
    await restore(manifest, other);
    const again = await capture(other, manifest);
    expect([again.filesRead, again.stored]).toEqual([1, []]);
    expect(sameWorkspace(again.manifest, manifest)).toBe(true);
    // What a restore returns is of the new sandbox: nothing is read.
    const known = await restore(manifest, other);
    expect((await capture(other, known)).filesRead).toBe(0);
  });

  it("catches a file that changes while it is read", async () => {
    await place(sandbox.session, file("a", "before"), file("b", "same"));
    let reads = 0;
    const fetchFiles: SandboxSession["fetchFiles"] = async function* (options) {
      reads += 1;
      yield* sandbox.session.fetchFiles(options);
      if (reads === 1) await place(sandbox.session, file("a", "after!"), file("c", "new"));
    };
    const { manifest, unsettled } = await capture(sandbox, null, changed(sandbox.session, { fetchFiles }));
    expect([reads, unsettled]).toEqual([2, 0]);
    const other = await createSandbox(provider);
    await restore(manifest, other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });

  it("takes what never stands still as it was read, and reads it again the next time", async () => {
    await place(sandbox.session, file("log", "0"), file("b", "same"));
    let reads = 0;
    const fetchFiles: SandboxSession["fetchFiles"] = async function* (options) {
      reads += 1;
      yield* sandbox.session.fetchFiles(options);
      await place(sandbox.session, file("log", `line ${reads}`));
    };
    const { manifest, unsettled } = await capture(sandbox, null, changed(sandbox.session, { fetchFiles }));
    expect([reads, unsettled]).toEqual([3, 1]);
    expect(manifest.files.map(({ path, fingerprint }) => [path, fingerprint === null])).toEqual([
      ["b", false],
      ["log", true],
    ]);
    await restore(manifest, await createSandbox(provider));
    expect((await capture(sandbox, manifest)).filesRead).toBe(1);
  });

  it("gives up packs of which little is used, and many small ones", async () => {
    await place(sandbox.session, file("large", noise(900_000)), file("small", noise(100_000)));
    const first = await capture(sandbox);
    await sandbox.session.deleteFile({ path: `${root}/large` });
    const second = await capture(sandbox, first.manifest);
    const third = await capture(sandbox, second.manifest);
    expect([second.stored.length, third.stored.length]).toEqual([0, 1]);
    let { manifest } = third;
    for (let index = 0; index < 60; index += 1) {
      await place(sandbox.session, file(`f${index}`, noise(100)));
      ({ manifest } = await capture(sandbox, manifest));
      expect(packsOf(manifest).length).toBeLessThanOrEqual(34);
    }
    const other = await createSandbox(provider);
    await restore(manifest, other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });

  it("fails when the store fails, and when the sandbox is lost", async () => {
    await place(sandbox.session, file("a", noise(9_000_000)));
    const failing = { ...blobs.store, put: () => Promise.reject(new Error("disk full")) };
    const request = { sandboxId: sandbox.reference.id, root, previous: null, organizationId };
    await expect(captureWorkspace({ ...request, session: sandbox.session, blobs: failing })).rejects.toThrow(
      "disk full",
    );
    provider.controls.lose(sandbox.reference.id);
    await expect(capture(sandbox)).rejects.toThrow("gone");
  });
});

describe("restoring", () => {
  it("places only differences over an older state", async () => {
    for (let index = 0; index < 50; index += 1) await place(sandbox.session, file(`f${index}`, noise(1000)));
    const first = await capture(sandbox);
    await place(sandbox.session, file("f3", noise(1000)));
    const second = await capture(sandbox, first.manifest);
    const other = await createSandbox(provider);
    const present = await restore(first.manifest, other);
    let placed = 0;
    const placeEntries: SandboxSession["placeEntries"] = ({ entries }) =>
      other.session.placeEntries({
        entries: (async function* () {
          for await (const entry of entries) {
            placed += 1;
            yield entry;
          }
        })(),
      });
    const session = changed(other.session, { placeEntries });
    await restore(second.manifest, { ...other, session }, present);
    expect(placed).toBe(1);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });

  it("fails on a chunk that is another one, and on a blob that is missing", async () => {
    await place(sandbox.session, file("a", "the content"), file("b", "another"));
    const { manifest } = await capture(sandbox);
    const swapped = manifest.files.map((entry, index) => ({
      ...entry,
      pieces: entry.pieces.map((piece) => ({ ...piece, offset: index === 0 ? 1 : 0 })),
    }));
    const wrong = { ...manifest, files: swapped } as Manifest;
    await expect(restore(wrong, await createSandbox(provider))).rejects.toMatchObject({ code: "damaged" });
    for (const pack of packsOf(manifest)) await blobs.store.delete(organizationId, pack.sha256);
    await expect(restore(manifest, await createSandbox(provider))).rejects.toMatchObject({ code: "missing" });
  });

  it("fails when what was placed is not what there is", async () => {
    await place(sandbox.session, file("a", "the content"), file("b", "x"));
    const { manifest } = await capture(sandbox);
    const other = await createSandbox(provider);
    const spoil = (path: string) => async (options: Parameters<SandboxSession["placeEntries"]>[0]) => {
      await other.session.placeEntries(options);
      await place(other.session, file(path, "something longer"));
    };
    for (const path of ["a", "more"]) {
      const session = changed(other.session, { placeEntries: spoil(path) });
      await expect(restore(manifest, { ...other, session })).rejects.toThrow("could not be restored");
    }
  });
});
