/** What is not in a snapshot, and what is waited for before it grows. */
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import type { SandboxSession, TreeEntry } from "@exoloop/sandbox/session";
import { beforeEach, expect, it } from "vitest";
import { captureWorkspace } from "./capture.ts";
import { isHole, type Manifest, maximumPieces, sameWorkspace } from "./manifest.ts";
import { decodeManifest, encodeManifest } from "./manifest-format.ts";
import { restoreWorkspace } from "./restore.ts";
import { loadManifest, storeManifest } from "./stored-manifest.ts";
import { createMemoryBlobs, createSandbox, describeTree, file, place, testRoot as root } from "./testing.ts";

const provider = createMemoryProvider();
const organizationId = createId("organization");
let sandbox: Sandbox;
let request: Parameters<typeof captureWorkspace>[0];
beforeEach(async () => {
  sandbox = await createSandbox(provider);
  const { session, reference } = sandbox;
  request = {
    session,
    sandboxId: reference.id,
    root,
    previous: null,
    blobs: createMemoryBlobs().store,
    organizationId,
  };
});

function restore(manifest: Manifest, { session, reference }: Sandbox) {
  return restoreWorkspace({ ...request, session, sandboxId: reference.id, manifest, present: null });
}

/** The session, whose scan tells something else, an entry at a time. */
function scanning(list: () => Promise<readonly TreeEntry[]>): SandboxSession {
  return {
    ...sandbox.session,
    async *scanTree() {
      for (const entry of await list()) yield [entry];
    },
  };
}

it("leaves out what no manifest could hold, so that every snapshot can be restored", async () => {
  await place(sandbox.session, file("good", "x"), file("past", "y"));
  const [entry] = (await sandbox.session.listTree({ path: root })).filter(({ path }) => path.endsWith("good"));
  if (entry === undefined) throw new Error("not listed");
  const directory = { ...entry, kind: "directory" as const, size: 0, fingerprint: "d" };
  const session = scanning(async () => [
    ...(await sandbox.session.listTree({ path: root })).map((listed) =>
      listed.path.endsWith("past") ? { ...listed, modifiedAt: -5_000 } : listed,
    ),
    { ...directory, path: `${root}/\uFFFD` },
    { ...directory, path: `${root}/\uFFFD` },
    { ...entry, path: `${root}/\uFFFD/inside` },
    { ...entry, path: `${root}/${"deep/".repeat(1000)}x` },
    { ...entry, path: `${root}/huge`, size: 2 ** 62 },
    { ...entry, path: `${root}/link`, kind: "symlink", linkTarget: "\uFFFD" },
  ]);
  const { manifest } = await captureWorkspace({ ...request, session });
  expect([manifest.leftOut, manifest.files.length]).toEqual([6, 2]);
  const read = await decodeManifest(await encodeManifest(manifest));
  await restore(read, await createSandbox(provider));
  const unreadable = { ...manifest, directories: [{ path: "../x", mode: 0o755 }] };
  await expect(encodeManifest(unreadable)).rejects.toThrow("leaves the workspace");
});

it("leaves out what is more than it may hold, and says how much and from where on", async () => {
  const entries = Array.from({ length: 30 }, (_, index) => file(`d${Math.floor(index / 5)}/f${index}`, `${index}`));
  await place(sandbox.session, ...entries);
  let waits = 0;
  const beforeMany = async () => void (waits += 1);
  const most = { ...request, entriesAtMost: 8, beforeMany };
  const { manifest, beyond, filesRead } = await captureWorkspace(most);
  expect([manifest.directories.length, manifest.files.length, filesRead, waits]).toEqual([2, 6, 6, 0]);
  expect([manifest.leftOut, beyond]).toEqual([28, { count: 28, first: "d1/f6" }]);
  const other = await createSandbox(provider);
  await restore(await decodeManifest(await encodeManifest(manifest)), other);
  expect(Object.keys(await describeTree(other.session)).length).toBe(8);
  expect((await captureWorkspace({ ...most, entriesAtMost: 36 })).beyond).toEqual({ count: 0, first: null });
});

it("leaves out a file of more pieces than a manifest names, and holds one of just as many", async () => {
  await place(sandbox.session, file("many", "x"), file("most", "x"), file("other", "x"));
  let reads = 0;
  const piecesOf: Readonly<Record<string, number>> = { many: maximumPieces + 2, most: maximumPieces, other: 1 };
  const fetchFiles: SandboxSession["fetchFiles"] = async function* ({ paths }) {
    reads += 1;
    for (const path of paths) {
      yield { type: "file", path };
      const count = piecesOf[path.slice(root.length + 1)] ?? 0;
      for (let index = 0; index < count; index += 1) {
        yield { type: "piece", piece: index % 2 === 0 ? Buffer.from(`${index}`) : { holeBytes: 4096 } };
      }
      yield { type: "end", size: 1 };
    }
  };
  const scan = await sandbox.session.listTree({ path: root });
  const session = { ...scanning(async () => scan), fetchFiles };
  const { manifest, beyond } = await captureWorkspace({ ...request, session });
  expect([reads, beyond]).toEqual([1, { count: 1, first: "many" }]);
  expect(manifest.files.map(({ path, pieces }) => [path, pieces.length])).toEqual([
    ["most", maximumPieces],
    ["other", 1],
  ]);
  const files = manifest.files.map((each) => ({
    ...each,
    size: each.pieces.reduce((sum, piece) => sum + (isHole(piece) ? piece.holeBytes : piece.length), 0),
  }));
  const whole = { ...manifest, files };
  const stored = await storeManifest(request.blobs, organizationId, whole);
  const read = await loadManifest(request.blobs, organizationId, stored.at(-1)?.sha256 ?? "");
  expect([stored.length > 1, sameWorkspace(read, whole)]).toEqual([true, true]);
});

it("counts long paths and targets, and many pieces, for what they take", async () => {
  const deep = ["a", "b", "c"].map((name) => name.repeat(250));
  const directories = deep.map((_, index) => ({
    kind: "directory" as const,
    path: `${root}/${deep.slice(0, index + 1).join("/")}`,
    mode: 0o755,
  }));
  const long = Array.from({ length: 10 }, (_, index) => file(`${deep.join("/")}/${index}`, `${index}`));
  const link = { kind: "symlink" as const, path: `${root}/link`, target: "t".repeat(2_560) };
  await place(sandbox.session, ...directories, ...long, link, file("short", "x"));
  // The directories weigh 1, 2 and 3, each file in them 3, the link 11.
  const { manifest, beyond } = await captureWorkspace({ ...request, entriesAtMost: 18 });
  expect([manifest.directories.length, manifest.links.length, beyond.count]).toEqual([3, 0, 8]);
  expect(manifest.files.map(({ size }) => size)).toEqual([1, 1, 1, 1]);
  const other = await createSandbox(provider);
  await restore(await decodeManifest(await encodeManifest(manifest)), other);
  expect(Object.keys(await describeTree(other.session)).length).toBe(7);
  expect((await captureWorkspace({ ...request, entriesAtMost: 48 })).beyond.count).toBe(0);
  expect((await captureWorkspace({ ...request, entriesAtMost: 47 })).beyond.count).toBe(1);
});

it("holds no more pieces of all files together than there is room for, and waits before they are many", async () => {
  const names = Array.from({ length: 10 }, (_, index) => `f${index}`);
  await place(sandbox.session, ...names.map((name) => file(name, "x")));
  const fetchFiles: SandboxSession["fetchFiles"] = async function* ({ paths }) {
    for (const path of paths) {
      yield { type: "file", path };
      for (let index = 0; index < 50_000; index += 1) {
        yield { type: "piece", piece: index % 2 === 0 ? Buffer.from(`${index}`) : { holeBytes: 4096 } };
      }
      yield { type: "end", size: 1 };
    }
  };
  let waits = 0;
  const beforeMany = async () => void (waits += 1);
  const session = { ...sandbox.session, fetchFiles };
  const { manifest, beyond } = await captureWorkspace({ ...request, session, entriesAtMost: 60_000, beforeMany });
  expect([manifest.files.length, beyond.count, waits]).toEqual([4, 6, 1]);
}, 60_000);

it("waits before it holds many entries", async () => {
  let waits = 0;
  const [entry] = await sandbox.session.listTree({ path: "/" });
  if (entry === undefined) throw new Error("not listed");
  const scanTree: SandboxSession["scanTree"] = async function* () {
    for (let page = 0; page < 60; page += 1) {
      if (page > 50) expect(waits).toBeGreaterThan(0);
      yield Array.from({ length: 1000 }, (_, index) => ({
        ...entry,
        kind: "symlink" as const,
        linkTarget: "x",
        path: `${root}/${page * 1000 + index}`,
      }));
    }
  };
  const beforeMany = async () => void (waits += 1);
  await captureWorkspace({ ...request, session: { ...sandbox.session, scanTree }, beforeMany });
  expect(waits).toBe(1);
});
