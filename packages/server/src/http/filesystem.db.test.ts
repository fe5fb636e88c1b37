/** Stored files over the API, with the client package. */
import Anthropic from "@anthropic-ai/sdk";
import { type Client, createClient } from "@exoloop/client/client";
import type { FileChange } from "@exoloop/protocol/filesystem";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
let admin: Client;
let organizationId: string;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function connect(scopes?: readonly ("admin" | "sessions")[]) {
  const { apiKey, principal } = await server.newOrganization(scopes);
  return { client: createClient({ baseUrl: server.listener.url, apiKey }), principal };
}
beforeEach(async () => {
  const { client, principal } = await connect();
  admin = client;
  organizationId = principal.organizationId;
});

const put = (path: string, content: string, more: object = {}): FileChange => ({ type: "put", path, content, ...more });
const commit = (...changes: FileChange[]) => admin.filesystem.commit({ changes });
const text = async (path: string, moment = {}) =>
  Buffer.from((await admin.filesystem.read(path, moment)).bytes).toString("utf8");
const failure = (work: Promise<unknown>): Promise<{ status: number; code: string; message: string }> =>
  work.then(
    () => ({ status: 200, code: "", message: "" }),
    (error: { status: number; code: string; message: string }) => ({
      status: error.status,
      code: error.code,
      message: error.message,
    }),
  );

describe("reading", () => {
  it("lists mounts, directories and files, page by page, and says what is known of each", async () => {
    await commit(
      ...["/b.md", "/a.md", "/docs/one.md", "/docs/deep/two.md"].map((path) => put(`/memory/org${path}`, path)),
    );
    const names = async (path: string) =>
      (await admin.filesystem.list(path)).data.map((entry) => [entry.type, entry.path]);
    expect(await names("/")).toEqual([
      ["directory", "/memory"],
      ["directory", "/skills"],
    ]);
    expect(await names("/memory")).toEqual([["directory", "/memory/org"]]);
    expect(await names("/memory/org")).toEqual([
      ["file", "/memory/org/a.md"],
      ["file", "/memory/org/b.md"],
      ["directory", "/memory/org/docs"],
    ]);
    expect(await names("/memory/org/docs/")).toEqual([
      ["directory", "/memory/org/docs/deep"],
      ["file", "/memory/org/docs/one.md"],
    ]);
    const first = await admin.filesystem.list("/memory/org", { limit: 2 });
    const second = await admin.filesystem.list("/memory/org", { limit: 2, page: first.next_page ?? "" });
    expect([...first.data, ...second.data].map((entry) => entry.path)).toEqual([
      "/memory/org/a.md",
      "/memory/org/b.md",
      "/memory/org/docs",
    ]);
    expect(second.next_page).toBeNull();
    expect(first.data[0]).toMatchObject({
      memory_id: expect.stringMatching(/^mem_/),
      version: 1,
      size_bytes: 5,
      executable: false,
      updated_by_session_id: null,
      untrusted: false,
    });
  });

  it("reads a file as it is, and as it was by version, revision and time", async () => {
    const one = await commit(put("/memory/org/a.md", "one"));
    const between = new Date();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await commit(put("/memory/org/a.md", "two"));
    await commit({ type: "delete", path: "/memory/org/a.md" });
    expect(await failure(text("/memory/org/a.md"))).toMatchObject({ status: 404 });
    expect(await text("/memory/org/a.md", { version: 2 })).toBe("two");
    expect(await text("/memory/org/a.md", { revision: one.revision })).toBe("one");
    expect(await text("/memory/org/a.md", { at: between })).toBe("one");
    expect(await failure(text("/memory/org/a.md", { version: 9 }))).toMatchObject({
      status: 404,
      message: expect.stringContaining("has no version 9"),
    });
    expect(await failure(text("/memory/org/a.md", { at: new Date(0) }))).toMatchObject({ status: 404 });
  });

  it("finds by path and by text over all mounts, bounded", async () => {
    await commit(put("/memory/org/a.md", "a needle\nand Needle\n"), put("/memory/org/b.txt", "hay"));
    expect((await admin.filesystem.find("/", "**/*.md")).data.map((entry) => entry.path)).toEqual(["/memory/org/a.md"]);
    expect(await admin.filesystem.search("/", "needle")).toEqual({
      data: [{ path: "/memory/org/a.md", line: 1, text: "a needle" }],
      truncated: false,
    });
    const bounded = await admin.filesystem.search("/memory", "needle", { ignore_case: true, limit: 1 });
    expect([bounded.data.length, bounded.truncated]).toEqual([1, true]);
  });

  it("exports a tar archive of everything below a path", async () => {
    await commit(put("/memory/org/docs/a.md", "text of a"), put("/memory/org/other.md", "other"));
    const archive = Buffer.concat(await Array.fromAsync(await admin.filesystem.export("/memory/org/docs")));
    expect(archive.length % 512).toBe(0);
    const listing = archive.toString("latin1");
    expect(listing).toContain("docs/a.md");
    expect(listing).toContain("text of a");
    expect(listing).not.toContain("other");
  });
});

describe("a commit", () => {
  it("changes several files at once, or none when one of them may not be", async () => {
    await commit(put("/memory/org/a.md", "one"));
    const before = await admin.filesystem.list("/memory/org");
    const refused = await failure(
      commit(put("/memory/org/new.md", "x"), put("/memory/org/a.md", "two", { expected_version: 7 }), {
        type: "delete",
        path: "/memory/org/a.md",
      }),
    );
    expect(refused).toMatchObject({ status: 409, message: expect.stringContaining("/memory/org/a.md") });
    expect(await admin.filesystem.list("/memory/org")).toEqual(before);
    const done = await commit(put("/memory/org/new.md", "x", { expected_version: null, executable: true }), {
      type: "move",
      path: "/memory/org/a.md",
      to: "/memory/org/kept/a.md",
    });
    expect(done).toMatchObject({ type: "file_commit", mount: "/memory/org", revision: 2 });
    expect((await admin.filesystem.retrieve("/memory/org/new.md")).executable).toBe(true);
    expect(await text("/memory/org/kept/a.md")).toBe("one");
  });

  it("deletes a directory only when all of it is meant", async () => {
    await commit(put("/memory/org/d/a.md", "a"), put("/memory/org/d/e/b.md", "b"), put("/memory/org/c.md", "c"));
    const path = "/memory/org/d";
    expect(await failure(commit({ type: "delete", path }))).toMatchObject({
      status: 400,
      message: expect.stringContaining("is a directory"),
    });
    await commit({ type: "delete", path, recursive: true });
    expect((await admin.filesystem.list("/memory/org")).data.map((entry) => entry.path)).toEqual(["/memory/org/c.md"]);
  });

  const mixed = [put("/memory/org/a.md", "x"), put("/skills/review/SKILL.md", "x")];
  it.each<[string, FileChange[], number, RegExp]>([
    ["leads out", [put("/memory/org/../../etc/passwd", "x")], 400, /"\.\."/],
    ["is relative", [put("memory/org/a.md", "x")], 400, /does not begin with a slash/],
    ["is encoded", [put("/memory/org/%2e%2e/x\u202e.md", "x")], 400, /invisible or control/],
    ["lies in no mount", [put("/workspace/a.md", "x")], 404, /Files are stored below/],
    ["is the mount itself", [put("/memory/org", "x")], 400, /is a directory/],
    ["is of two mounts", mixed, 400, /One commit|lies in \/skills/],
    ["is not there", [{ type: "delete", path: "/memory/org/none.md" }], 404, /none\.md does not exist/],
    ["is not base64", [put("/memory/org/a.md", "***", { encoding: "base64" })], 400, /a\.md is not base64/],
    ["is binary in memory", [put("/memory/org/a.bin", "AAE=", { encoding: "base64" })], 400, /a\.bin is binary/],
    ["has a twin", [put("/memory/org/A.md", "x"), put("/memory/org/a.md", "x")], 409, /differs only in case/],
    [
      "is twenty with one bad",
      [...Array.from({ length: 19 }, (_, n) => put(`/memory/org/${n}.md`, "x")), put("/memory/org/ bad.md", "x")],
      400,
      / bad\.md/,
    ],
  ])("refuses what %s, names it, and changes nothing", async (_what, changes, status, message) => {
    const refused = await failure(commit(...changes));
    expect(refused.message).toMatch(message);
    expect(refused.status).toBe(status);
    const rows = await server.test.database
      .selectFrom("file_versions")
      .select("id")
      .where("organization_id", "=", organizationId)
      .execute();
    expect(rows).toEqual([]);
  });

  it("takes a binary file of ten megabytes into a skill, and no byte more", async () => {
    const bytes = Buffer.alloc(10 * 1024 * 1024, 7);
    bytes[0] = 0;
    const skill = put("/skills/big/SKILL.md", "---\nname: big\ndescription: Holds a big file.\n---\n");
    const file = (content: Buffer) => put("/skills/big/data.bin", content.toString("base64"), { encoding: "base64" });
    expect(await failure(commit(skill, file(Buffer.concat([bytes, bytes.subarray(0, 1)]))))).toMatchObject({
      status: 400,
      message: expect.stringContaining("data.bin"),
    });
    await commit(skill, file(bytes));
    expect(Buffer.from((await admin.filesystem.read("/skills/big/data.bin")).bytes).equals(bytes)).toBe(true);
  }, 30_000);
});

describe("whose files", () => {
  it("memory stores are directories by their names, and a person's own memory is theirs alone", async () => {
    const { apiKey, principal } = await server.newOrganization();
    const sdk = new Anthropic({ baseURL: server.listener.url, apiKey });
    const client = createClient({ baseUrl: server.listener.url, apiKey });
    const first = await sdk.beta.memoryStores.create({ name: "Team Notes" });
    await sdk.beta.memoryStores.create({ name: "team notes" });
    const archived = await sdk.beta.memoryStores.create({ name: "old" });
    await sdk.beta.memoryStores.archive(archived.id);
    const [ann, bob] = [
      await server.newUser(principal.organizationId, "Ann"),
      await server.newUser(principal.organizationId, "Bob"),
    ].map((user) => createClient({ baseUrl: server.listener.url, apiKey: user.apiKey }));
    const below = async (as: Client | undefined) =>
      (await as?.filesystem.list("/memory"))?.data.map((entry) => entry.path);
    const shared = ["/memory/org", "/memory/team-notes", "/memory/team-notes-2"];
    expect(await below(client)).toEqual(shared);
    expect(await below(ann)).toEqual(["/memory/me", ...shared]);
    await client.filesystem.commit({ changes: [put("/memory/team-notes/a.md", "by name")] });
    const { data } = await sdk.beta.memoryStores.memories.list(first.id, { view: "full" });
    expect(data.map((memory) => ("content" in memory ? [memory.path, memory.content] : []))).toEqual([
      ["/a.md", "by name"],
    ]);
    await ann?.filesystem.commit({ changes: [put("/memory/me/diary.md", "mine")] });
    expect(await failure(client.filesystem.read("/memory/me/diary.md"))).toMatchObject({ status: 404 });
    expect(await failure(bob?.filesystem.read("/memory/me/diary.md") ?? Promise.resolve())).toMatchObject({
      status: 404,
    });
    expect((await bob?.filesystem.search("/", "mine"))?.data).toEqual([]);
    expect((await ann?.filesystem.search("/", "mine"))?.data).toHaveLength(1);
  });

  it("another organization sees nothing of them", async () => {
    await commit(put("/memory/org/a.md", "secret needle"));
    const { client: other } = await connect();
    expect(await failure(other.filesystem.read("/memory/org/a.md"))).toMatchObject({ status: 404 });
    expect((await other.filesystem.list("/memory/org")).data).toEqual([]);
    expect((await other.filesystem.search("/", "needle")).data).toEqual([]);
  });

  it("a key without the scope admin reads skills and changes memory alone", async () => {
    const { client } = await connect(["sessions"]);
    const skill = put("/skills/a/SKILL.md", "---\nname: a\ndescription: A.\n---\n");
    expect(await failure(client.filesystem.commit({ changes: [skill] }))).toMatchObject({ status: 403 });
    await client.filesystem.commit({ changes: [put("/memory/org/a.md", "x")] });
  });
});
