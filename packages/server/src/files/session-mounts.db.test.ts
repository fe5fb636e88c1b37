import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { defaultMemoryOf, storedMounts } from "./mounts.ts";
import { createTestOrganization, createTestSession } from "./postgres/testing.ts";
import { attachedStores } from "../sessions/resources/attached-stores.ts";
import { readSessionView } from "./session-mounts.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test?.drop());

async function createSession(whose: { readonly private?: boolean; readonly somebody?: boolean }) {
  const organizationId = await createTestOrganization(test.database);
  const sessionId = await createTestSession(test.database, organizationId);
  const userId = createId("user");
  const user = { id: userId, organization_id: organizationId, external_id: "ann", name: "Ann" };
  await test.database.insertInto("users").values(user).execute();
  await test.database
    .updateTable("sessions")
    .set({
      user_id: whose.somebody === true ? userId : null,
      visibility: whose.private === true ? "private" : "shared",
    })
    .where("id", "=", sessionId)
    .execute();
  return { organizationId, sessionId, userId };
}

const mountsOf = async (owner: { readonly organizationId: string; readonly sessionId: string }) =>
  (await readSessionView(test.database, owner)).mounts;

describe("what a session sees of the stored files", () => {
  it("of somebody, in private: that person's memory too, and /memories leads there", async () => {
    const { userId, ...owner } = await createSession({ private: true, somebody: true });
    const mounts = await mountsOf(owner);
    expect(mounts.map(({ key, prefix, access }) => [key, prefix, access])).toEqual([
      ["skills", "/skills", "read_only"],
      ["memory/org", "/memory/org", "read_write"],
      [`memory/user/${userId}`, "/memory/me", "read_write"],
    ]);
    expect(defaultMemoryOf(mounts)?.prefix).toBe("/memory/me");
    expect((await readSessionView(test.database, owner)).userId).toBe(userId);
  });

  it("of somebody, for all to see: nobody's own memory, with the next question", async () => {
    const { userId, ...owner } = await createSession({ private: true, somebody: true });
    await test.database
      .updateTable("sessions")
      .set({ visibility: "shared" })
      .where("id", "=", owner.sessionId)
      .execute();
    expect(await mountsOf(owner)).toEqual(storedMounts);
    expect(defaultMemoryOf(await mountsOf(owner))?.prefix).toBe("/memory/org");
    expect((await readSessionView(test.database, owner)).userId).toBe(userId);
  });

  it("of nobody: what everybody has", async () => {
    const { sessionId, organizationId } = await createSession({});
    expect(await mountsOf({ sessionId, organizationId })).toEqual(storedMounts);
  });

  it("stores that are attached, in order, as they may be used; a thread has its session's", async () => {
    const { userId, ...owner } = await createSession({ private: true, somebody: true });
    const { database } = test;
    const attach = async (directory: string, access: "read_only" | "read_write", archived_at: Date | null = null) => {
      const id = createId("memoryStore");
      const { organizationId: organization_id, sessionId: session_id } = owner;
      const mount = `store/${id}`;
      await database
        .insertInto("memory_stores")
        .values({ id, organization_id, mount, name: directory, description: "", metadata: "{}", archived_at })
        .execute();
      const names = { directory, name: directory, memory_store_id: id };
      await database
        .insertInto("session_resources")
        .values({ id: `res_${id}`, organization_id, session_id, type: "memory_store", access, initial: true, ...names })
        .execute();
      return mount;
    };
    const keys = [
      await attach("read", "read_only"),
      await attach("write", "read_write"),
      await attach("old", "read_write", new Date()),
    ];
    const attached = (await mountsOf(owner)).slice(3);
    expect(attached.map(({ key, prefix, access }) => [key, prefix, access])).toEqual([
      [keys[0], "/memory/read", "read_only"],
      [keys[1], "/memory/write", "read_write"],
      [keys[2], "/memory/old", "read_only"],
    ]);
    const listed = await attachedStores(database, owner);
    expect(listed.map(({ mount, name, access }) => [mount, `/memory/${name}`, access])).toEqual(
      attached.map(({ key, prefix, access }) => [key, prefix, access]),
    );
    await database.updateTable("sessions").set({ visibility: "shared" }).where("id", "=", owner.sessionId).execute();
    expect(defaultMemoryOf(await mountsOf(owner))?.prefix).toBe("/memory/write");
    const { sessionId: threadId } = { sessionId: await createTestSession(database, owner.organizationId) };
    await database
      .updateTable("sessions")
      .set({ parent_session_id: owner.sessionId })
      .where("id", "=", threadId)
      .execute();
    expect((await mountsOf({ ...owner, sessionId: threadId })).length).toBe(5);
    await database.deleteFrom("session_resources").where("session_id", "=", owner.sessionId).execute();
    expect((await mountsOf(owner)).length).toBe(2);
    expect(userId).toMatch(/^user_/);
  });

  it("nothing for a session of another organization, or none", async () => {
    const { sessionId } = await createSession({ private: true, somebody: true });
    const organizationId = await createTestOrganization(test.database);
    expect(await mountsOf({ sessionId, organizationId })).toEqual([]);
    expect(await mountsOf({ sessionId: "sesn_none", organizationId })).toEqual([]);
  });

  it("a session cannot be private to nobody, nor belong to somebody of another organization", async () => {
    await expect(createSession({ private: true })).rejects.toThrow(/sessions_private_to_somebody/);
    const [one, two] = [await createSession({ somebody: true }), await createSession({ somebody: true })];
    const change = test.database.updateTable("sessions").set({ user_id: two.userId }).where("id", "=", one.sessionId);
    await expect(change.execute()).rejects.toThrow(/foreign key/);
  });
});
