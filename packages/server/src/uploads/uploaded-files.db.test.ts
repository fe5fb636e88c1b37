import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDirectoryBlobStore } from "../blobs/directory-store.ts";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { createUploadedFiles, type UploadedFiles } from "./uploaded-files.ts";

let postgres: TestDatabase;
let directory: string;
let files: UploadedFiles;
const organizationId = createId("organization");
beforeAll(async () => {
  postgres = await createTestDatabase();
  directory = await mkdtemp(join(tmpdir(), "exoloop-uploads-"));
  await postgres.database.insertInto("organizations").values({ id: organizationId, name: "Test" }).execute();
  const blobs = createDirectoryBlobStore(directory);
  files = createUploadedFiles({ database: postgres.database, blobs, limits: { file: 100, organization: 150 } });
});
afterAll(async () => {
  await postgres.drop();
  await rm(directory, { recursive: true, force: true });
});

/** How much of it was asked for. */
function endless() {
  const given = { pieces: 0 };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      given.pieces += 1;
      yield Buffer.alloc(1024 ** 2);
    }
  }
  return { given, body: pieces() };
}

async function* once(size: number): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(size);
}

test("a file over the limit is read no further than a part, and an organization stores so much", async () => {
  const { given, body } = endless();
  await expect(files.receive(organizationId, body)).rejects.toMatchObject({ code: "file_too_large" });
  expect(given.pieces).toBeLessThan(20);
  for (let count = 0; count < 2; count += 1) {
    const content = await files.receive(organizationId, once(80));
    await files.create(organizationId, "key_1", { fileName: "a", mediaType: "text/plain", content, expiresIn: null });
  }
  await expect(files.receive(organizationId, once(1))).rejects.toMatchObject({ code: "storage_full" });
});

test("content that was removed while it was received makes no file", async () => {
  const other = createId("organization");
  await postgres.database.insertInto("organizations").values({ id: other, name: "Other" }).execute();
  const blobs = createDirectoryBlobStore(directory);
  await files.receive(other, once(50));
  const content = await files.receive(other, once(50));
  for (const { sha256 } of content.parts) await blobs.delete(other, sha256);
  const file = { fileName: "a", mediaType: "text/plain", content, expiresIn: null };
  await expect(files.create(other, "key_1", file)).rejects.toMatchObject({ code: "internal" });
  const query = { limit: 10, position: null, direction: "next", order: "desc", includeArchived: true } as const;
  expect((await files.list(other, query, null)).rows).toEqual([]);
});
