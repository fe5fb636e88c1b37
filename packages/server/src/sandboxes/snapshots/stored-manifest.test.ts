import { zstdDecompressSync } from "node:zlib";
import { createId } from "@exoloop/protocol/ids";
import { createRandom } from "@exoloop/sandbox/testing/random";
import { beforeEach, describe, expect, it } from "vitest";
import { sha256Of } from "../../blobs/store.ts";
import { sortedByPath } from "./in-turns.ts";
import { type Manifest, type ManifestFile, sameWorkspace } from "./manifest.ts";
import { encodeIndex, encodeManifest } from "./manifest-format.ts";
import { loadManifest, storeManifest } from "./stored-manifest.ts";
import { createMemoryBlobs } from "./testing.ts";

const organizationId = createId("organization");
let blobs: ReturnType<typeof createMemoryBlobs>;
beforeEach(() => {
  blobs = createMemoryBlobs();
});

const pack = (index: number) => ({
  sha256: sha256Of(Buffer.from(`pack ${index}`)),
  size: 4_000_000,
  storedSize: 2_000_000,
});

function makeFile(index: number, content = index): ManifestFile {
  const sha256 = sha256Of(Buffer.from(`content ${content}`));
  const piece = { sha256, pack: pack(index % 7), offset: index, length: 5 };
  const path = `d${index % 300}/${index}`;
  return {
    path,
    mode: 0o644,
    modifiedAt: 1_700_000_000_000 + index,
    size: 5,
    fingerprint: `${index}`,
    pieces: [piece],
  };
}

async function makeManifest(files: readonly ManifestFile[]): Promise<Manifest> {
  const directories = Array.from({ length: 300 }, (_, index) => ({ path: `d${index}`, mode: 0o755 }));
  const links = Array.from({ length: 3_000 }, (_, index) => ({ path: `d${index % 300}/l${index}`, target: "../x" }));
  return {
    sandboxId: "sbx_1",
    directories: await sortedByPath(directories),
    links: await sortedByPath(links),
    files: await sortedByPath(files),
    leftOut: 2,
  };
}

const many = Array.from({ length: 60_000 }, (_, index) => makeFile(index));

describe("a manifest of many entries", () => {
  it("is stored in parts and read as it was", async () => {
    const manifest = await makeManifest(many);
    const stored = await storeManifest(blobs.store, organizationId, manifest);
    expect(stored.length).toBeGreaterThan(8);
    const read = await loadManifest(blobs.store, organizationId, stored.at(-1)?.sha256 ?? "");
    expect(sameWorkspace(read, manifest)).toBe(true);
    expect([read.sandboxId, read.leftOut, read.files[5]]).toEqual(["sbx_1", 2, manifest.files[5]]);
    // What several parts name is there once.
    expect(new Set(read.files.flatMap(({ pieces }) => pieces.map((piece) => "pack" in piece && piece.pack))).size).toBe(
      7,
    );
  });

  it("shares its parts with the one before, also when a file was added or removed", async () => {
    const before = await storeManifest(blobs.store, organizationId, await makeManifest(many));
    const changes = {
      changed: many.map((file, index) => (index === 30_000 ? makeFile(index, 99_999_999) : file)),
      removed: many.filter((_, index) => index !== 20_000),
      added: [...many, makeFile(70_000)],
    };
    for (const files of Object.values(changes)) {
      const stored = await storeManifest(blobs.store, organizationId, await makeManifest(files));
      const fresh = stored.filter(({ existed }) => !existed);
      expect(fresh.length).toBeLessThanOrEqual(3);
      expect(stored.length).toBeGreaterThanOrEqual(before.length - 1);
    }
  });

  it("of few entries is one blob", async () => {
    expect((await storeManifest(blobs.store, organizationId, await makeManifest(many.slice(0, 100)))).length).toBe(1);
  });

  it("of long paths and targets is stored in parts of a few megabytes, and read as it was", async () => {
    const names = Array.from({ length: 15 }, (_, index) => `${index}`.padEnd(250, "\u0001"));
    const directories = names.map((_, index) => ({ path: names.slice(0, index + 1).join("/"), mode: 0o755 }));
    const deep = names.join("/");
    // JSON writes such a character as six.
    const longest = "\u0001".repeat(4_095);
    const links = Array.from({ length: 3_000 }, (_, index) => ({ path: `${index}`, target: longest }));
    const files = Array.from({ length: 3_000 }, (_, index) => ({
      ...makeFile(index),
      path: `${deep}/${`${index}`.padEnd(200, "\u0001")}`,
    }));
    const none = { sandboxId: "sbx_1", directories: [], links: [], files: [], leftOut: 0 };
    for (const entries of [{ links }, { directories, files: await sortedByPath(files) }]) {
      const manifest = { ...none, ...entries, links: await sortedByPath(entries.links ?? []) };
      const stored = await storeManifest(blobs.store, organizationId, manifest);
      expect(stored.length).toBeGreaterThan(3);
      const read = await loadManifest(blobs.store, organizationId, stored.at(-1)?.sha256 ?? "");
      expect(sameWorkspace(read, manifest)).toBe(true);
    }
    for (const { content } of blobs.contents.values()) {
      expect(zstdDecompressSync(content).length).toBeLessThan(28 * 1024 ** 2);
    }
  }, 60_000);

  it("waits before it is read, and a small one does not", async () => {
    const waited: number[] = [];
    for (const files of [many, many.slice(0, 100)]) {
      const stored = await storeManifest(blobs.store, organizationId, await makeManifest(files));
      const before = blobs.counts.get;
      await loadManifest(blobs.store, organizationId, stored.at(-1)?.sha256 ?? "", async () => {
        if (waited.length === 0) waited.push(blobs.counts.get - before);
      });
    }
    expect(waited).toEqual([1]);
  });

  it("is refused when a part is missing, another's, or out of order", async () => {
    const manifest = await makeManifest(many);
    const stored = (await storeManifest(blobs.store, organizationId, manifest)).map(({ sha256 }) => sha256);
    const parts = stored.slice(0, -1);
    const load = async (named: readonly string[]) => {
      const { sha256 } = await blobs.store.put(organizationId, await encodeIndex(manifest, named));
      return loadManifest(blobs.store, organizationId, sha256);
    };
    await expect(load(parts.toReversed())).rejects.toThrow("a path is in no directory of the manifest");
    await expect(load([...parts, parts[2] ?? ""])).rejects.toThrow("a path occurs twice");
    const other = await blobs.store.put(organizationId, await encodeManifest(await makeManifest([])));
    await expect(load([...parts, other.sha256])).rejects.toThrow("a path occurs twice");
    await blobs.store.delete(organizationId, parts[3] ?? "");
    await expect(load(parts)).rejects.toMatchObject({ code: "missing" });
    await expect(encodeIndex(manifest, ["../../etc/passwd"])).rejects.toThrow("a checksum is wrong");
  });
});

describe("sorting in turns", () => {
  it("is sorting", async () => {
    const random = createRandom(3);
    for (const length of [0, 1, 2, 4_095, 4_096, 4_097, 50_000]) {
      const items = Array.from({ length }, (_, index) => ({ path: `${random.below(1_000_000)}/${index}` }));
      const expected = items.map(({ path }) => path).sort((one, other) => (one < other ? -1 : 1));
      expect((await sortedByPath(items)).map(({ path }) => path)).toEqual(expected);
    }
  });
});
