import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDirectoryBlobStore } from "./directory-store.ts";
import { createS3BlobStore } from "./s3-store.ts";
import { type BlobStore, maximumBlobBytes, sha256Of } from "./store.ts";
import { type S3TestServer, startS3TestServer } from "./testing.ts";

let root: string;
let s3: S3TestServer;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "exoloop-blobs-"));
  s3 = await startS3TestServer();
});
afterAll(async () => {
  await s3.stop();
  await rm(root, { recursive: true, force: true });
});

const open: Readonly<Record<string, () => BlobStore>> = {
  directory: () => createDirectoryBlobStore(root),
  s3: () => createS3BlobStore({ ...s3, retryAfterMs: 1 }),
};

async function listed(blobs: BlobStore, organization: string): Promise<string[]> {
  const found: string[] = [];
  for await (const blob of blobs.list(organization)) found.push(blob.sha256);
  return found.sort();
}

describe.each(Object.keys(open))("blobs: %s", (kind) => {
  const organization = createId("organization");
  const other = createId("organization");
  let blobs: BlobStore;
  beforeAll(() => {
    const opened = open[kind];
    if (opened === undefined) throw new Error("no such store");
    blobs = opened();
  });

  it("gives back what was put, under the hash of its content", async () => {
    const content = randomBytes(3_000_000);
    const stored = await blobs.put(organization, content);
    expect(stored).toEqual({ sha256: sha256Of(content), size: content.length, existed: false });
    expect(Buffer.from(await blobs.get(organization, stored.sha256)).equals(content)).toBe(true);
    expect(await blobs.put(organization, content)).toEqual({ ...stored, existed: true });
  });

  it("stores nothing at all, too", async () => {
    const { sha256 } = await blobs.put(organization, new Uint8Array());
    expect((await blobs.get(organization, sha256)).length).toBe(0);
  });

  it("stores the same blob twice at once", async () => {
    const content = randomBytes(100_000);
    const stored = await Promise.all([1, 2, 3].map(() => blobs.put(organization, content)));
    expect(new Set(stored.map(({ sha256 }) => sha256)).size).toBe(1);
    expect(Buffer.from(await blobs.get(organization, sha256Of(content))).equals(content)).toBe(true);
  });

  it("shows an organization nothing of another", async () => {
    const { sha256 } = await blobs.put(organization, Buffer.from("secret"));
    await expect(blobs.get(other, sha256)).rejects.toMatchObject({ code: "missing" });
    expect(await blobs.has(other, sha256)).toBe(false);
    expect(await listed(blobs, other)).toEqual([]);
    await blobs.delete(other, sha256);
    expect(await blobs.has(organization, sha256)).toBe(true);
  });

  it("lists what there is with size and age, and deletes it", async () => {
    const mine = createId("organization");
    const contents = Array.from({ length: 30 }, (_, index) => Buffer.from(`content ${index}`));
    await Promise.all(contents.map((content) => blobs.put(mine, content)));
    expect(await listed(blobs, mine)).toEqual(contents.map(sha256Of).sort());
    for await (const blob of blobs.list(mine)) {
      expect(blob.size).toBeLessThanOrEqual(10);
      expect(Math.abs(blob.storedAt.getTime() - Date.now())).toBeLessThan(60_000);
      await blobs.delete(mine, blob.sha256);
      await blobs.delete(mine, blob.sha256);
    }
    expect(await listed(blobs, mine)).toEqual([]);
  });

  it("takes no key that is not one, and nothing that is too large", async () => {
    const zeros = "0".repeat(64);
    await expect(async () => blobs.get("../../etc", zeros)).rejects.toThrow("not a blob's key");
    await expect(async () => blobs.get(organization, "../../etc/passwd")).rejects.toThrow("not a blob's key");
    await expect(async () => blobs.has(organization, "")).rejects.toThrow("not a blob's key");
    await expect(async () => listed(blobs, "..")).rejects.toThrow("not a blob's key");
    await expect(blobs.put(organization, new Uint8Array(maximumBlobBytes + 1))).rejects.toMatchObject({
      code: "too_large",
    });
  });

  /** Other bytes, as many. */
  async function damage(mine: string, sha256: string, content: Uint8Array) {
    const directory = kind === "s3" ? s3.directory : join(root, mine);
    const found = (await readdir(directory, { recursive: true })).find((name) =>
      name.includes(kind === "s3" ? `${mine}/${sha256}._S3rver_object` : sha256),
    );
    if (found === undefined) throw new Error("the blob's file was not found");
    await writeFile(
      join(directory, found),
      content.map((byte) => byte ^ 255),
    );
  }

  it("gives out nothing that is damaged, and names it", async () => {
    const mine = createId("organization");
    const content = randomBytes(10_000);
    const { sha256 } = await blobs.put(mine, content);
    await damage(mine, sha256, content);
    await expect(blobs.get(mine, sha256)).rejects.toMatchObject({
      code: "damaged",
      message: expect.stringContaining(`blob ${sha256} is damaged`),
    });
  });

  it("stores again what is damaged and has its size still", async () => {
    const mine = createId("organization");
    for (const size of [1, 10_000, 3_000_000]) {
      const content = randomBytes(size);
      const { sha256 } = await blobs.put(mine, content);
      // Whoever read it knows.
      await damage(mine, sha256, content);
      await expect(blobs.get(mine, sha256)).rejects.toMatchObject({ code: "damaged" });
      expect((await blobs.put(mine, content)).existed).toBe(false);
      expect(Buffer.from(await blobs.get(mine, sha256)).equals(content)).toBe(true);
      // Another process, which has read nothing.
      await damage(mine, sha256, content);
      const other = open[kind]?.();
      expect((await other?.put(mine, content))?.existed).toBe(false);
      expect(Buffer.from(await blobs.get(mine, sha256)).equals(content)).toBe(true);
      expect((await other?.put(mine, content))?.existed).toBe(true);
    }
  });
});

describe("blobs in a directory", () => {
  it("stores again what was cut short, and removes what a dead process left", async () => {
    const organization = createId("organization");
    const blobs = createDirectoryBlobStore(root);
    const content = randomBytes(1000);
    const { sha256 } = await blobs.put(organization, content);
    await truncate(join(root, organization, sha256.slice(0, 2), sha256), 10);
    expect((await blobs.put(organization, content)).existed).toBe(false);
    expect((await blobs.get(organization, sha256)).length).toBe(1000);
    await writeFile(join(root, "incoming", "left"), "half");
    await writeFile(join(root, "incoming", "young"), "half");
    await utimes(join(root, "incoming", "left"), 0, 0);
    await listed(blobs, organization);
    expect(await readdir(join(root, "incoming"))).toEqual(["young"]);
  });
});

describe("blobs in a bucket", () => {
  const organization = createId("organization");

  it("says what to check, and never the key", async () => {
    const credentials = { accessKeyId: "nobody", secretAccessKey: "a-wrong-secret" };
    const wrong = createS3BlobStore({ ...s3, credentials, retryAfterMs: 1 });
    const refused = await wrong.put(organization, Buffer.from("x")).catch(String);
    expect(refused).toMatch(/answered 403.*check AWS_ACCESS_KEY_ID/);
    expect(refused).not.toContain("a-wrong-secret");
    const elsewhere = createS3BlobStore({ ...s3, location: { ...s3.location, bucket: "nobody" }, retryAfterMs: 1 });
    await expect(elsewhere.put(organization, Buffer.from("x"))).rejects.toThrow(/NoSuchBucket.*EXOLOOP_BLOBS/);
    await expect(elsewhere.get(organization, sha256Of(Buffer.from("x")))).rejects.toThrow(/NoSuchBucket/);
  });

  it("fetches what is there once, to see that it is whole, and then only asks for its size", async () => {
    const content = Buffer.from("the content");
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(request.method ?? "");
      response.writeHead(200, { "content-length": content.length }).end(request.method === "GET" ? content : "");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const store = createS3BlobStore({ ...s3, location: { ...s3.location, endpoint }, retryAfterMs: 1 });
    for (let count = 0; count < 3; count += 1) expect((await store.put(organization, content)).existed).toBe(true);
    expect(seen).toEqual(["HEAD", "GET", "HEAD", "HEAD"]);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it("tries again what may pass, also what breaks off, and gives up", async () => {
    const content = Buffer.from("the content");
    let requests = 0;
    const flaky = createServer((_request, response) => {
      requests += 1;
      if (requests === 1) response.writeHead(503).end("<Error><Code>SlowDown</Code></Error>");
      else if (requests === 2) response.writeHead(200, { "content-length": 11 }).write("the", () => response.destroy());
      else if (requests === 3) response.writeHead(200).end("the wrong content");
      else response.writeHead(200).end(content);
    });
    await new Promise<void>((resolve) => flaky.listen(0, "127.0.0.1", resolve));
    const endpoint = `http://127.0.0.1:${(flaky.address() as AddressInfo).port}`;
    const store = createS3BlobStore({ ...s3, location: { ...s3.location, endpoint }, retryAfterMs: 1, timeoutMs: 500 });
    expect(Buffer.from(await store.get(organization, sha256Of(content))).toString()).toBe("the content");
    expect(requests).toBe(4);
    await new Promise((resolve) => flaky.close(resolve));
    await expect(store.has(organization, sha256Of(content))).rejects.toThrow("cannot be reached (ECONNREFUSED)");
  });

  it("does not wait for ever", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    // Patience for the largest answer would be too long for a test: an empty upload has none.
    const store = createS3BlobStore({ ...s3, location: { ...s3.location, endpoint }, retryAfterMs: 1, timeoutMs: 50 });
    await expect(store.delete(organization, sha256Of(new Uint8Array()))).rejects.toThrow("cannot be reached");
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
  });
});
