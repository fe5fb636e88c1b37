import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BlobStore, createDirectoryBlobStore } from "./blobs.ts";

const streamOf = (...chunks: Uint8Array[]) => new Blob(chunks.map((chunk) => new Uint8Array(chunk))).stream();
const readAll = async (stream: ReadableStream<Uint8Array>) => Buffer.from(await new Response(stream).arrayBuffer());

describe("blobs in a directory", () => {
  let root: string;
  let blobs: BlobStore;
  const organization = createId("organization");
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "exoloop-blobs-"));
    blobs = createDirectoryBlobStore(root);
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it("gives back what was put, under the hash of its content", async () => {
    const content = randomBytes(3_000_000);
    const stored = await blobs.put(organization, streamOf(content.subarray(0, 1_000_000), content.subarray(1_000_000)));
    expect(stored.size).toBe(content.length);
    expect(await readAll(await blobs.get(organization, stored.sha256))).toEqual(content);
    expect((await blobs.put(organization, streamOf(content))).sha256).toBe(stored.sha256);
  });

  it("shows an organization nothing of another", async () => {
    const { sha256 } = await blobs.put(organization, streamOf(Buffer.from("secret")));
    await expect(blobs.get(createId("organization"), sha256)).rejects.toThrow("missing");
  });

  it("keeps nothing of a stream that fails", async () => {
    const failing = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(Buffer.from("half"));
        controller.error(new Error("source lost"));
      },
    });
    await expect(blobs.put(organization, failing)).rejects.toThrow("source lost");
    expect(await readdir(join(root, "incoming"))).toEqual([]);
  });

  it("takes no key that is not one", async () => {
    await expect(blobs.get("../../etc", "0".repeat(64))).rejects.toThrow("not a blob's key");
    await expect(blobs.get(organization, "../../etc/passwd")).rejects.toThrow("not a blob's key");
  });
});
