import { constants, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Manifest } from "./manifest.ts";
import { decodeManifest, encodeManifest } from "./manifest-format.ts";
import { ManifestError } from "./manifest-rows.ts";

const sha = (digit: string) => digit.repeat(64);
const valid = {
  version: 1,
  sandbox: "sbx_1",
  left_out: 0,
  packs: [[sha("a"), 100, 60]],
  chunks: [
    [sha("b"), 0, 0, 40],
    [sha("c"), 0, 40, 60],
  ],
  directories: [["src", 0o755]],
  links: [["src/link", "../x"]],
  files: [["src/file", 0o644, 1_700_000_000_000, 4196, "1.2", [0, -4096, 1]]],
};

const encoded = (value: unknown) => zstdCompressSync(Buffer.from(JSON.stringify(value)));
const withFile = (...changes: readonly (readonly [number, unknown])[]) => {
  const file: unknown[] = [...(valid.files[0] ?? [])];
  for (const [index, value] of changes) file[index] = value;
  return { ...valid, files: [file] };
};
const placed = (path: string) => withFile([0, path]);

describe("a manifest", () => {
  it("is read as it was written", async () => {
    const manifest = await decodeManifest(encoded(valid));
    expect(manifest.files[0]).toMatchObject({
      path: "src/file",
      size: 4196,
      pieces: [{ length: 40 }, { holeBytes: 4096 }, {}],
    });
    expect(await decodeManifest(await encodeManifest(manifest))).toEqual(manifest);
    const empty: Manifest = { sandboxId: "sbx_1", directories: [], links: [], files: [], leftOut: 3 };
    expect(await decodeManifest(await encodeManifest(empty))).toEqual(empty);
  });

  const hostile: Readonly<Record<string, unknown>> = {
    "another version": { ...valid, version: 2 },
    "no object": [],
    "an absolute path": placed("/etc/passwd"),
    "a path that leaves": placed("src/../../etc/passwd"),
    "a path through a dot": placed("src/./file"),
    "an empty path": placed(""),
    "a path with a zero byte": placed("src/a\0b"),
    "a path that is too long": placed(`src/${"a".repeat(5000)}`),
    "a path through a link": placed("src/link/file"),
    "a path through nothing": placed("other/file"),
    "a path twice": placed("src/link"),
    "a directory before its parent": {
      ...valid,
      directories: [
        ["src/deep", 0o755],
        ["src", 0o755],
      ],
    },
    "a link without a target": { ...valid, links: [["src/link", ""]] },
    "a mode with more bits": withFile([1, 0o100644]),
    "a negative mode": withFile([1, -1]),
    "a time that is none": withFile([2, 1.5]),
    "another size than its pieces": withFile([3, 4197]),
    "a size beyond what numbers hold": withFile([3, 2 ** 60], [5, [-(2 ** 60)]]),
    "a piece that is nothing": withFile([5, [2]]),
    "a piece that is a text": withFile([5, ["0"]]),
    "a chunk of no pack": { ...valid, chunks: [[sha("b"), 1, 0, 40]] },
    "a chunk beyond its pack": {
      ...valid,
      chunks: [
        [sha("b"), 0, 80, 40],
        [sha("c"), 0, 40, 60],
      ],
    },
    "an empty chunk": {
      ...valid,
      chunks: [
        [sha("b"), 0, 0, 0],
        [sha("c"), 0, 40, 60],
      ],
    },
    "a pack that is too large": { ...valid, packs: [[sha("a"), 2 ** 30, 60]] },
    "a key that leads elsewhere": { ...valid, packs: [["../../x", 100, 60]] },
    "an entry with a part too many": { ...valid, directories: [["src", 0o755, 1]] },
    "no list": { ...valid, files: { length: 1 } },
  };
  it.each(Object.keys(hostile))("is refused with %s", async (name) => {
    await expect(decodeManifest(encoded(hostile[name]))).rejects.toBeInstanceOf(ManifestError);
  });

  it("is refused when it is no JSON, not compressed, cut short, changed, or a bomb", async () => {
    const bytes = await encodeManifest(await decodeManifest(encoded(valid)));
    const flipped = Uint8Array.from(bytes, (byte, index) => (index === bytes.length - 6 ? byte ^ 1 : byte));
    const bomb = zstdCompressSync(Buffer.alloc(300 * 1024 ** 2, "["), {
      params: { [constants.ZSTD_c_compressionLevel]: 1 },
    });
    for (const wrong of [zstdCompressSync("{"), Buffer.from("{}"), bytes.subarray(0, -3), flipped, bomb]) {
      await expect(decodeManifest(wrong)).rejects.toBeInstanceOf(ManifestError);
    }
  });
});
