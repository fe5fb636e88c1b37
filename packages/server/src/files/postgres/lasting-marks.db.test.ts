/** What a mark of untrusted content, a private note and a redaction survive: moves, undoing, restoring, conflicts. */
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount as memory, personalMemoryMount } from "../mounts.ts";
import type { FileActor } from "../store.ts";
import { encodeText } from "../text.ts";
import { createStoredFiles, type StoredFiles } from "./stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "./testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let sessionId: string;
let userId: string;
beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
  userId = createId("user");
  const user = { id: userId, organization_id: organizationId, external_id: "ann", name: "Ann" };
  await test.database.insertInto("users").values(user).execute();
});

const [path, moved] = ["/memory/org/a.md", "/memory/org/b.md"];
const person = (): FileActor => ({ organizationId, sessionId: null, toolUseId: null, via: "api", userId });
const outsider = async (): Promise<FileActor> => ({
  ...actorOf(organizationId, await createTestSession(test.database, organizationId)),
  untrusted: true,
});
const store = () => files.open({ organizationId, sessionId: null }, memory);
async function write(text: string, actor: FileActor, at = path) {
  const head = await store()
    .read(at)
    .catch(() => null);
  return store().write(at, encodeText(text), actor, head?.version ?? null);
}
const edit = (oldText: string, newText: string, actor: FileActor) =>
  store().edit(path, { oldText, newText, all: false }, actor);
const marked = (at = path) => files.anyUntrusted(organizationId, memory, [at]);
const textOf = async (at = path) => Buffer.from((await store().read(at)).bytes).toString();

describe("the mark of untrusted content", () => {
  it("stays where the changes of another session are undone", async () => {
    const trusted = actorOf(organizationId, sessionId);
    await write("one\n2\n3\n4\n5\n6\nseven\n", person());
    await edit("one", "1", trusted);
    await edit("seven", "do as I say", await outsider());
    expect(await marked()).toBe(true);
    await files.history.undo({ mount: memory, actor: person(), sessionId });
    expect(await textOf()).toBe("one\n2\n3\n4\n5\n6\ndo as I say\n");
    expect(await marked()).toBe(true);
  });

  it("comes back with what is restored from before, wherever the file was moved", async () => {
    await write("do as I say", await outsider());
    await store().rename(path, moved, person());
    expect(await marked(moved)).toBe(true);
    const revision = await files.revision(organizationId, memory);
    await write("of a person", person(), moved);
    expect(await marked(moved)).toBe(false);
    await files.history.restore({ mount: memory, actor: person(), path: moved, to: { revision } });
    expect(await textOf(moved)).toBe("do as I say");
    expect(await marked(moved)).toBe(true);
    const { versions } = await files.history.list(organizationId, memory, { path: moved }, { limit: 9 });
    expect(versions.map((version) => version.untrusted)).toEqual([true, false, true]);
  });

  it("comes back with what is undone, whatever the file was called then", async () => {
    await write("do as I say", await outsider());
    await write("of a session", actorOf(organizationId, sessionId));
    expect(await marked()).toBe(false);
    await store().rename(path, moved, person());
    await files.history.undo({ mount: memory, actor: person(), sessionId });
    expect(await textOf(moved)).toBe("do as I say");
    expect(await marked(moved)).toBe(true);
  });

  it("is on a text that lost a race and is taken after all", async () => {
    await write("first", person());
    const loser = await outsider();
    await test.database.updateTable("sessions").set({ untrusted: true }).where("id", "=", loser.sessionId).execute();
    await lose("do as I say", loser);
    const { conflicts } = await files.history.conflicts(organizationId, memory, {}, { limit: 9 });
    await files.history.resolveConflict(memory, conflicts[0]?.id ?? "", "kept", person());
    expect(await textOf()).toBe("do as I say");
    expect(await marked()).toBe(true);
  });
});

function lose(text: string, actor: FileActor) {
  const lost = [{ path, bytes: encodeText(text), baseVersion: 1, headVersion: 1 }];
  return files.commit({ mount: memory, actor, paths: [] }, () => ({ changes: [], lost, result: null }));
}

describe("a note of a person's own memory", () => {
  const note = "the secret is under the third stone of the garden\n";
  const actor = () => ({ ...actorOf(organizationId, sessionId, "bash"), userId });

  it("is not kept for everybody when it loses a race in shared memory", async () => {
    await files
      .open({ organizationId, sessionId }, personalMemoryMount(userId))
      .write("/memory/me/a.md", encodeText(note), actor());
    await write("first", person());
    await lose(note, actor());
    await lose("another text, which is nobody's secret at all\n", actor());
    const { conflicts } = await files.history.conflicts(organizationId, memory, {}, { limit: 9 });
    expect(conflicts).toHaveLength(1);
    // What everybody has read before is no secret.
    await write(note, person());
    await write("first", person());
    await lose(note, actor());
    expect((await files.history.conflicts(organizationId, memory, {}, { limit: 9 })).conflicts).toHaveLength(2);
  });
});

describe("a content that was redacted", () => {
  async function redactFirst() {
    await write("secret\n2\n3\n4\n5\nend\n", actorOf(organizationId, sessionId));
    const revision = await files.revision(organizationId, memory);
    // Somebody else has it for himself.
    await files
      .open({ organizationId, sessionId: null }, personalMemoryMount(userId))
      .write("/memory/me/a.md", encodeText("secret\n2\n3\n4\n5\nend\n"), person());
    await edit("secret", "public", person());
    const { versions } = await files.history.list(organizationId, memory, { path }, { limit: 9 });
    await files.history.redact({ organizationId, mount: memory, versionId: versions[1]?.id ?? "", by: {} });
    return revision;
  }

  it("is not restored, though somebody else still has it", async () => {
    const revision = await redactFirst();
    const request = { mount: memory, actor: person(), path, to: { revision } };
    await expect(files.history.restore(request)).rejects.toMatchObject({ code: "failed" });
    expect(await textOf()).toContain("public");
  });

  it("is neither compared nor taken out, though somebody else still has it", async () => {
    const revision = await redactFirst();
    const points = { from: { revision }, to: { revision: revision + 1 } };
    const { files: differing } = await files.history.diffRevisions(organizationId, memory, points);
    expect(differing).toMatchObject([{ path, change: "changed", diff: null, unshown: "redacted" }]);
    const archive = files.history.exportArchive(organizationId, memory, { at: { revision } });
    let text = "";
    for await (const piece of archive) text += Buffer.from(piece).toString();
    expect(text).not.toContain("secret");
  });

  it("does not come back by undoing what came after it", async () => {
    await redactFirst();
    const editor = await createTestSession(test.database, organizationId);
    const mount = memory;
    await test.database
      .updateTable("file_versions")
      .set({ session_id: editor })
      .where("organization_id", "=", organizationId)
      .where("mount", "=", mount.key)
      .where("version", "=", 2)
      .execute();
    const { kept, changes } = await files.history.undo({ mount, actor: person(), sessionId: editor });
    expect([kept.length, changes]).toEqual([1, []]);
    expect(await textOf()).toContain("public");
  });
});
