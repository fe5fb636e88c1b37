/** Uploaded files over the wire, through the official SDK. */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Anthropic, { toFile } from "@anthropic-ai/sdk";
import { uploadedFile as fileSchema } from "@exoloop/protocol/files";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDirectoryBlobStore } from "../blobs/directory-store.ts";
import type { BlobStore } from "../blobs/store.ts";
import { createApiKey } from "../orgs/api-keys.ts";
import { collectSnapshots } from "../sandboxes/snapshots/collect.ts";
import { deleteExpired } from "../db/retention.ts";
import { createId } from "@exoloop/protocol/ids";
import { refusalOf } from "./testing-memory.ts";
import { type TestServer, startTestServer } from "./testing.ts";

let server: TestServer;
let directory: string;
let blobs: BlobStore;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "exoloop-uploads-"));
  blobs = createDirectoryBlobStore(directory);
  server = await startTestServer({ blobs });
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

async function newCaller() {
  const { database } = server.test;
  const organizationId = createId("organization");
  await database.insertInto("organizations").values({ id: organizationId, name: "Test" }).execute();
  const { apiKey } = await createApiKey(database, { organizationId, name: "test", scopes: ["admin"] });
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  return { files: sdk.beta.files, organizationId, apiKey };
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Bytes that hold line ends and what looks like a delimiter. */
function awkwardBytes(size: number): Buffer {
  const pattern = Buffer.from("\r\n--not the boundary\r\n\r\n--\r\r\n-\0ä");
  return Buffer.alloc(size, pattern);
}

async function upload(
  apiKey: string,
  body: string,
  type = "multipart/form-data; boundary=b",
): Promise<{ readonly status: number; readonly code: unknown }> {
  const response = await fetch(`${server.listener.url}/v1/files`, {
    method: "POST",
    headers: { "x-api-key": apiKey, "content-type": type },
    body,
  });
  const answer = (await response.json()) as { readonly error?: { readonly code: string } };
  return { status: response.status, code: answer.error?.code };
}

test("a file is uploaded, described, downloaded and deleted", async () => {
  const { files } = await newCaller();
  const bytes = awkwardBytes(100_000);
  const uploaded = await files.upload({ file: await toFile(bytes, 'dir/Größe "1".txt', { type: "text/plain" }) });
  expect(fileSchema.safeParse(uploaded).error).toBeUndefined();
  expect(uploaded).toMatchObject({
    type: "file",
    id: expect.stringMatching(/^file_/),
    filename: 'Größe "1".txt',
    mime_type: "text/plain",
    size_bytes: 100_000,
    downloadable: true,
    expires_at: null,
  });
  expect(await files.retrieveMetadata(uploaded.id)).toEqual(uploaded);
  const response = await files.download(uploaded.id);
  expect(response.headers.get("content-disposition")).toMatch(/^attachment; /);
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(sha256(bytes));
  expect(await files.delete(uploaded.id)).toEqual({ id: uploaded.id, type: "file_deleted" });
  for (const read of [
    () => files.retrieveMetadata(uploaded.id),
    () => files.download(uploaded.id),
    () => files.delete(uploaded.id),
  ]) {
    expect(await refusalOf(read())).toMatchObject({ status: 404, code: "not_found" });
  }
});

test("a file of several parts is stored and read part by part; an empty one is a file too", async () => {
  const { files } = await newCaller();
  const bytes = awkwardBytes(20 * 1024 ** 2 + 7);
  const { id, size_bytes } = await files.upload({ file: await toFile(bytes, "large.bin") });
  expect(size_bytes).toBe(bytes.length);
  const row = await server.test.database
    .selectFrom("uploaded_files")
    .select("blobs")
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  expect(row.blobs).toHaveLength(3);
  const response = await files.download(id);
  expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(sha256(bytes));
  const empty = await files.upload({ file: await toFile(new Uint8Array(), "empty") });
  expect(empty.size_bytes).toBe(0);
  expect((await (await files.download(empty.id)).arrayBuffer()).byteLength).toBe(0);
});

test("lists page, pick by identifier, and show one organization", async () => {
  const { files } = await newCaller();
  const ids: string[] = [];
  for (const name of ["a", "b", "c"])
    ids.unshift((await files.upload({ file: await toFile(Buffer.from(name), name) })).id);
  const [third = "", second = ""] = ids;
  const paged: string[] = [];
  for await (const file of files.list({ limit: 1 })) paged.push(file.id);
  expect(paged).toEqual(ids);
  const picked = await files.list({ ids: [second, third, third, "file_none"] });
  expect(picked.data.map((file) => file.id)).toEqual([third, second]);
  expect(picked.next_page).toBeNull();
  expect((await files.list({ scope_id: "sesn_1" })).data).toEqual([]);
  expect(await refusalOf((async () => files.list({ ids: [second], limit: 1 }))())).toMatchObject({ status: 400 });
  const many = Array.from({ length: 101 }, (_, index) => `file_${index}`);
  expect(await refusalOf((async () => files.list({ ids: many }))())).toMatchObject({ status: 400 });
  const other = (await newCaller()).files;
  expect((await other.list()).data).toEqual([]);
  for (const read of [() => other.retrieveMetadata(third), () => other.download(third), () => other.delete(third)]) {
    expect(await refusalOf(read())).toMatchObject({ code: "not_found" });
  }
});

test("a file that expires is gone when its time has come, and its content with the next collection", async () => {
  const { files, organizationId } = await newCaller();
  const kept = await files.upload({ file: await toFile(Buffer.from("kept"), "kept") });
  const uploaded = await files.upload({ file: await toFile(Buffer.from("gone"), "gone"), expires_in_seconds: 3_600 });
  expect(Date.parse(uploaded.expires_at ?? "") - Date.parse(uploaded.created_at)).toBeCloseTo(3_600_000, -4);
  const { database } = server.test;
  await database
    .updateTable("uploaded_files")
    .set({ expires_at: new Date(Date.now() - 1) })
    .where("id", "=", uploaded.id)
    .execute();
  expect(await refusalOf(files.download(uploaded.id))).toMatchObject({ code: "not_found" });
  expect((await files.list()).data.map((file) => file.id)).toEqual([kept.id]);
  await deleteExpired(database, new AbortController().signal);
  const later = { database, blobs, now: () => Date.now() + 7_200_000 };
  await collectSnapshots(later, new AbortController().signal);
  expect(await blobs.has(organizationId, sha256(Buffer.from("gone")))).toBe(false);
  expect(await (await files.download(kept.id)).text()).toBe("kept");
  for (const expires_in_seconds of [3_599, 7_776_001, 1.5]) {
    const refused = files.upload({ file: await toFile(Buffer.from("x"), "x"), expires_in_seconds });
    expect(await refusalOf(refused)).toMatchObject({ status: 400, code: "invalid_request" });
  }
});

test("bodies that are no upload are refused, and make no file", async () => {
  const { files, apiKey } = await newCaller();
  const part = (head: string, body = "x") => `--b\r\n${head}\r\n\r\n${body}\r\n`;
  const file = part('Content-Disposition: form-data; name="file"; filename="a"');
  const wrong: readonly [string, string?][] = [
    ["{}", "application/json"],
    ["", "multipart/form-data; boundary=b"],
    ["--b--\r\n"],
    ["no boundary at all"],
    [file],
    [`${file}${file}--b--\r\n`],
    [`${part('Content-Disposition: form-data; name="other"')}--b--\r\n`],
    [`${part('Content-Disposition: form-data; name="file"')}--b--\r\n`],
    [`${part("X: y")}--b--\r\n`],
    [`--b\r\n${"x".repeat(10_000)}`],
    [`${file.trimEnd()}\r\n--bX\r\n`],
    ["x", "multipart/form-data"],
  ];
  for (const [body, type] of wrong) expect((await upload(apiKey, body, type)).status).toBe(400);
  expect((await files.list()).data).toEqual([]);
  expect((await upload(apiKey, `preamble\r\n${file}--b--\r\nepilogue`)).status).toBe(200);
  expect((await upload("wrong", file)).code).toBe("unauthenticated");
});
