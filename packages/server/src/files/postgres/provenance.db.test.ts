import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount as memory, personalMemoryMount, storedMounts } from "../mounts.ts";
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
});
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
  userId = createId("user");
  const user = { id: userId, organization_id: organizationId, external_id: "ann", name: "Ann <b>" };
  await test.database.insertInto("users").values(user).execute();
});

const path = "/memory/org/a.md";
const actor = (more: Partial<FileActor> = {}) => ({ ...actorOf(organizationId, sessionId), userId, ...more });
const store = () => files.open({ organizationId, sessionId }, memory);
const write = (text: string, more: Partial<FileActor> = {}) => store().write(path, encodeText(text), actor(more));
const origin = () => files.describeOrigin(organizationId, storedMounts, path);
const person = (): FileActor => ({ organizationId, sessionId: null, toolUseId: null, via: "api", userId });

describe("the origin of a file", () => {
  it("says who wrote it, in which session, how and when, and whether it is untrusted", async () => {
    await write("one", { via: "bash" });
    expect(await origin()).toMatch(
      new RegExp(
        `^<provenance>${path}, version 1: written by Ann \\?b\\? in session ${sessionId} with a command, \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ\\.</provenance>$`,
      ),
    );
    await write("two", { untrusted: true, userId: null });
    expect(await origin()).toMatch(
      /version 2: written in session sesn_\w+ with a tool, .* UNTRUSTED: .*<\/provenance>$/,
    );
  });

  it("is told of shared memory only", async () => {
    const mine = personalMemoryMount(userId);
    await files.open({ organizationId, sessionId }, mine).write("/memory/me/a.md", encodeText("x"), actor());
    expect(await files.describeOrigin(organizationId, [...storedMounts, mine], "/memory/me/a.md")).toBeNull();
    expect(await files.describeOrigin(organizationId, storedMounts, "/workspace/a.md")).toBeNull();
    expect(await files.describeOrigin(organizationId, storedMounts, "/memory/org/none.md")).toBeNull();
    const other = await createTestOrganization(test.database);
    await write("x");
    expect(await files.describeOrigin(other, storedMounts, path)).toBeNull();
  });
});

describe("vouching", () => {
  it("takes the mark, keeps content and author, and is a version of its own", async () => {
    await write("one", { untrusted: true });
    const revision = await files.revision(organizationId, memory);
    const request = { mount: memory, path, version: 1, by: person() };
    expect(await files.vouch(request)).toBe(2);
    expect(await files.anyUntrusted(organizationId, memory, [path])).toBe(false);
    expect(await files.revision(organizationId, memory)).toBe(revision + 1);
    expect(await origin()).toMatch(/version 2: written by Ann \?b\? in session sesn_\w+ with a tool, [^U]*$/);
    const rows = await test.database
      .selectFrom("file_versions")
      .select(["operation", "version", "sha256", "untrusted", "session_id", "user_id"])
      .where("organization_id", "=", organizationId)
      .orderBy("version")
      .execute();
    expect(rows).toMatchObject([
      { operation: "create", untrusted: true, session_id: sessionId },
      { operation: "vouch", untrusted: false, session_id: null, user_id: userId, sha256: rows[0]?.sha256 },
    ]);
    // Once is enough, and the session that wrote it may go on writing.
    expect(await files.vouch({ ...request, version: 2 })).toBe(2);
    expect((await write("two")).version).toBe("3");
  });

  it("comes after what it has waited for, also in time", async () => {
    await write("one", { untrusted: true });
    let vouching: Promise<number> | undefined;
    const bytes = new TextEncoder().encode("two");
    await files.commit({ mount: memory, actor: person(), paths: [] }, async () => {
      vouching = files.vouch({ mount: memory, path, version: 1, by: person() });
      await new Promise((resolve) => setTimeout(resolve, 150));
      const other = { type: "put" as const, path: `${path}x`, bytes, executable: null, operation: "write" as const };
      return { changes: [other], result: null };
    });
    await vouching;
    const { versions } = await files.history.list(organizationId, memory, {}, { limit: 9 });
    const [last, before] = versions.map(({ createdAt }) => createdAt.getTime());
    expect(versions[0]?.operation).toBe("vouch");
    expect(last).toBeGreaterThanOrEqual(before ?? 0);
  });

  it("is for one version, and for a file that is there", async () => {
    await write("one", { untrusted: true });
    await write("two", { untrusted: true });
    const request = { mount: memory, path, version: 1, by: person() };
    await expect(files.vouch(request)).rejects.toMatchObject({ code: "conflict" });
    await expect(files.vouch({ ...request, path: "/memory/org/none" })).rejects.toMatchObject({ code: "not_found" });
    expect(await files.anyUntrusted(organizationId, memory, [path])).toBe(true);
    expect(await files.revision(organizationId, memory)).toBe(2);
  });
});
