/** The history of stored files over the API. */
import { type Client, createClient } from "@exoloop/client/client";
import type { FileChange } from "@exoloop/protocol/filesystem";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { memoryStoreMount, organizationMemoryMount as memory, personalMemoryMount } from "../files/mounts.ts";
import { createStoredFiles, type StoredFiles } from "../files/postgres/stored-files.ts";
import { actorOf, createTestSession } from "../files/postgres/testing.ts";
import { encodeText } from "../files/text.ts";
import { startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
let files: StoredFiles;
let client: Client;
let organizationId: string;
beforeAll(async () => {
  server = await startTestServer();
  files = createStoredFiles(server.test.database);
});
afterAll(() => server.stop());
beforeEach(async () => {
  const { apiKey, principal } = await server.newOrganization();
  client = createClient({ baseUrl: server.listener.url, apiKey });
  ({ organizationId } = principal);
});

const put = (path: string, content: string): FileChange => ({ type: "put", path: `/memory/org/${path}`, content });
const commit = (...changes: FileChange[]) => client.filesystem.commit({ changes });
const text = async (path: string) =>
  Buffer.from((await client.filesystem.read(`/memory/org/${path}`)).bytes).toString();
const status = (work: Promise<unknown>): Promise<number> =>
  work.then(
    () => 200,
    (error: { status: number }) => error.status,
  );

/** A session of the organization that writes files. */
async function session() {
  const sessionId = await createTestSession(server.test.database, organizationId);
  const store = files.open({ organizationId, sessionId }, memory);
  return {
    sessionId,
    async write(path: string, content: string) {
      const at = `/memory/org/${path}`;
      await store.read(at).catch(() => null);
      await store.write(at, encodeText(content), actorOf(organizationId, sessionId));
    },
    remove: (path: string) => store.remove(`/memory/org/${path}`, actorOf(organizationId, sessionId)),
  };
}

/** A memory store that the session has, at `/memory/<name>`. */
async function attachStore(sessionId: string, name: string) {
  const id = createId("memoryStore");
  const mount = memoryStoreMount(`store/${id}`, `/memory/${name}`, "read_write");
  const { database } = server.test;
  await database
    .insertInto("memory_stores")
    .values({ id, organization_id: organizationId, mount: mount.key, name, description: "", metadata: "{}" })
    .execute();
  await database
    .insertInto("session_resources")
    .values({
      id: `res_${id}`,
      organization_id: organizationId,
      session_id: sessionId,
      type: "memory_store",
      access: "read_write",
      initial: true,
      directory: name,
      name,
      memory_store_id: id,
    })
    .execute();
  return mount;
}

describe("versions", () => {
  it("are listed newest first, page by page, for a path and all below it and for a session", async () => {
    await commit(put("docs/a.md", "one"), put("other.md", "x"));
    const { sessionId, write } = await session();
    await write("docs/a.md", "two");
    const shown = async (query: object) =>
      (await client.filesystem.versions(query)).data.map(({ path, version, author }) => [path, version, author.via]);
    const newest = ["/memory/org/docs/a.md", 2, "tool"];
    expect(await shown({ path: "/memory/org/docs/a.md" })).toEqual([newest, ["/memory/org/docs/a.md", 1, "api"]]);
    expect(await shown({ session_id: sessionId })).toEqual([newest]);
    expect((await shown({ path: "/memory/org/docs" }))[0]).toEqual(newest);
    const first = await client.filesystem.versions({ limit: 1 });
    const rest = await client.filesystem.versions({ limit: 100, page: first.next_page ?? "" });
    expect([...first.data, ...rest.data].map(({ id }) => id)).toEqual(
      (await client.filesystem.versions({ limit: 100 })).data.map(({ id }) => id),
    );
    expect(await status(client.filesystem.versions({ path: "/workspace" }))).toBe(404);
  });

  it("are compared, from nothing, with each other, and not where there is no such version", async () => {
    await commit(put("a.md", "one\n"));
    await commit(put("a.md", "one\ntwo\n"));
    const last = await client.filesystem.diff("/memory/org/a.md");
    expect([last.from_version, last.to_version, last.diff]).toEqual([1, 2, expect.stringContaining("+two")]);
    const all = await client.filesystem.diff("/memory/org/a.md", { from: 0, to: 2 });
    expect([all.from_version, all.diff]).toEqual([null, expect.stringContaining("+one\n+two")]);
    expect((await client.filesystem.diff("/memory/org/a.md", { from: 2, to: 2 })).diff).toBe("");
    expect(await status(client.filesystem.diff("/memory/org/a.md", { from: 9 }))).toBe(404);
    expect(await status(client.filesystem.diff("/memory/org/none.md"))).toBe(404);
  });

  it("are redacted by an admin, but not while they are the file", async () => {
    await commit(put("a.md", "a secret"));
    const [head] = (await client.filesystem.versions({ path: "/memory/org/a.md" })).data;
    expect(await status(client.filesystem.redact(head?.id ?? ""))).toBe(409);
    await commit(put("a.md", "harmless"));
    expect((await client.filesystem.redact(head?.id ?? "")).redacted_at).toMatch(/^\d{4}-/);
    expect(await status(client.filesystem.read("/memory/org/a.md", { version: 1 }))).toBe(404);
    expect(await text("a.md")).toBe("harmless");
    const { apiKey } = await server.newOrganization();
    const other = createClient({ baseUrl: server.listener.url, apiKey });
    const [version] = (await client.filesystem.versions({ path: "/memory/org/a.md" })).data;
    expect(await status(other.filesystem.redact(version?.id ?? ""))).toBe(404);
  });
});

describe("putting back", () => {
  it("restores a file to a version and a directory to a time, first as a dry run", async () => {
    await commit(put("d/a.md", "one"), put("d/b.md", "one"));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const before = new Date().toISOString();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await commit(put("d/a.md", "two"), put("d/c.md", "new"), { type: "delete", path: "/memory/org/d/b.md" });
    const request = { path: "/memory/org/d", at: before };
    const dry = await client.filesystem.restore({ ...request, dry_run: true });
    expect(await text("d/a.md")).toBe("two");
    const done = await client.filesystem.restore(request);
    expect(done.files).toEqual(dry.files);
    expect(done.files.map(({ path, outcome }) => `${outcome} ${path}`).sort()).toEqual([
      "deleted /memory/org/d/c.md",
      "written /memory/org/d/a.md",
      "written /memory/org/d/b.md",
    ]);
    expect([await text("d/a.md"), await text("d/b.md")]).toEqual(["one", "one"]);
    await client.filesystem.restore({ path: "/memory/org/d/a.md", version: 2 });
    expect(await text("d/a.md")).toBe("two");
    expect(await status(client.filesystem.restore({ path: "/memory/org/d/a.md", version: 99 }))).toBe(404);
    await expect(client.filesystem.restore({ path: "/memory/org", revision: 99 })).rejects.toThrow(
      "/memory/org has no revision 99 yet: the last one is 4.",
    );
    expect(await status(client.filesystem.restore({ path: "/memory/org/d/a.md" }))).toBe(400);
    expect(await status(client.filesystem.restore({ path: "/memory/org/d/a.md", version: 1, revision: 1 }))).toBe(400);
  });

  it("undoes what a session did, and says what it left because others have changed it since", async () => {
    await commit(put("kept.md", "before"), put("raced.md", "line one\n"));
    const { sessionId, write, remove } = await session();
    await write("made.md", "made");
    await write("raced.md", "line by session\n");
    await remove("kept.md");
    await commit(put("raced.md", "line by somebody else\n"));
    const undone = await client.filesystem.undo({ session_id: sessionId });
    expect(undone.files.map(({ path, outcome }) => `${outcome} ${path}`).sort()).toEqual([
      "deleted /memory/org/made.md",
      "kept /memory/org/raced.md",
      "put_back /memory/org/kept.md",
    ]);
    expect(await text("kept.md")).toBe("before");
    expect(await text("raced.md")).toBe("line by somebody else\n");
    const again = await client.filesystem.undo({ session_id: sessionId });
    expect(again.files.map(({ outcome }) => outcome)).toEqual(["kept"]);
    expect(await status(client.filesystem.undo({ session_id: "sesn_none" }))).toBe(404);
  });

  it("undoes what sub-agents did for the session, as if they were one", async () => {
    await commit(put("a.md", "before"));
    const [parent, thread] = [await session(), await session()];
    await server.test.database
      .updateTable("sessions")
      .set({ parent_session_id: parent.sessionId })
      .where("id", "=", thread.sessionId)
      .execute();
    await parent.write("a.md", "by the session");
    await thread.write("a.md", "by its sub-agent");
    await parent.write("a.md", "by the session again");
    await thread.write("b.md", "made");
    const { files: undone } = await client.filesystem.undo({ session_id: parent.sessionId });
    expect(undone.map(({ path, outcome }) => `${outcome} ${path}`).sort()).toEqual([
      "deleted /memory/org/b.md",
      "put_back /memory/org/a.md",
    ]);
    expect(await text("a.md")).toBe("before");
  });

  it("undoes in the memory stores of the session too, detached ones included, and tells what it cannot", async () => {
    const { sessionId, write } = await session();
    await write("made.md", "made");
    const [open, archived] = [await attachStore(sessionId, "open"), await attachStore(sessionId, "archived")];
    const personal = personalMemoryMount("user_another");
    for (const mount of [open, archived, personal]) {
      const path = `${mount.prefix}/a.md`;
      const store = files.open({ organizationId, sessionId }, mount);
      await store.write(path, encodeText("made"), actorOf(organizationId, sessionId));
    }
    const { database } = server.test;
    await database.updateTable("session_resources").set({ removed_at: new Date() }).execute();
    await database
      .updateTable("memory_stores")
      .set({ archived_at: new Date() })
      .where("mount", "=", archived.key)
      .execute();
    const undone = await client.filesystem.undo({ session_id: sessionId });
    expect(undone.files.map(({ path, outcome, reason }) => [outcome, path, reason])).toEqual([
      ["deleted", "/memory/org/made.md", null],
      ["deleted", "/memory/open/a.md", null],
      ["kept", "/memory/archived", "it is read-only"],
      ["kept", "/memory/me", "this key does not see these files"],
    ]);
    const { id: user_id } = await client.users.create({ external_id: "ann" });
    const hidden = { user_id, visibility: "private" as const };
    await database.updateTable("sessions").set(hidden).where("id", "=", sessionId).execute();
    expect((await client.filesystem.undo({ session_id: sessionId })).files).toEqual([]);
  });
});

it("what an untrusted session wrote is vouched for, in the version that was read", async () => {
  const { sessionId } = await session();
  const path = "/memory/org/web.md";
  const store = files.open({ organizationId, sessionId }, memory);
  await store.write(path, encodeText("from the web"), { ...actorOf(organizationId, sessionId), untrusted: true });
  expect((await client.filesystem.retrieve(path)).untrusted).toBe(true);
  expect(await status(client.filesystem.vouch({ path, version: 7 }))).toBe(409);
  expect(await status(client.filesystem.vouch({ path: "/memory/org/none.md", version: 1 }))).toBe(404);
  expect(await client.filesystem.vouch({ path, version: 1 })).toMatchObject({ untrusted: false, version: 2 });
  expect(await text("web.md")).toBe("from the web");
  expect(
    (await client.filesystem.versions({ path })).data.map(({ operation, untrusted }) => [operation, untrusted]),
  ).toEqual([
    ["vouch", false],
    ["create", true],
  ]);
});

describe("a text that lost a race", () => {
  it("is listed, read, and decided once", async () => {
    await commit(put("a.md", "head"));
    const { sessionId } = await session();
    const actor = actorOf(organizationId, sessionId, "bash");
    const path = "/memory/org/a.md";
    await files.commit({ mount: memory, actor, paths: [path] }, () => ({
      changes: [],
      lost: [{ path, bytes: encodeText("lost"), baseVersion: null, headVersion: 1 }],
      result: null,
    }));
    const { data } = await client.filesystem.conflicts();
    expect(data).toMatchObject([{ path, session_id: sessionId, head_version: 1, resolved_at: null }]);
    const id = data[0]?.id ?? "";
    expect(Buffer.from(await client.filesystem.conflictContent(id)).toString()).toBe("lost");
    expect((await client.filesystem.resolveConflict(id, "kept")).resolved_at).toMatch(/^\d{4}-/);
    expect(await text("a.md")).toBe("lost");
    expect(await status(client.filesystem.resolveConflict(id, "head"))).toBe(409);
    expect((await client.filesystem.conflicts()).data).toEqual([]);
    expect((await client.filesystem.conflicts({ resolved: true })).data).toHaveLength(1);
    const { apiKey } = await server.newOrganization();
    const other = createClient({ baseUrl: server.listener.url, apiKey });
    expect(await status(other.filesystem.conflictContent(id))).toBe(404);
  });
});
