/** How much one request may take into memory. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../db/testing.ts";
import { organizationMemoryMount as memory } from "../../mounts.ts";
import { encodeText } from "../../text.ts";
import { createStoredFiles, type StoredFiles } from "../stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "../testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let sessionId: string;
beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
});

const path = "/memory/org/a.md";
const write = (text: string, expectedVersion: string | null) =>
  files
    .open({ organizationId, sessionId }, memory)
    .write(path, encodeText(text), actorOf(organizationId, sessionId), expectedVersion);
const person = () => actorOf(organizationId, null, "api");

/** As if each version had so many bytes. */
async function grow(bytes: number): Promise<void> {
  await test.database
    .updateTable("file_versions")
    .set({ size_bytes: bytes })
    .where("organization_id", "=", organizationId)
    .execute();
}

describe("what is to be taken back", () => {
  it("is refused where its contents are more than are held at once", async () => {
    for (const [index, text] of ["one", "two", "three"].entries()) await write(text, index === 0 ? null : `${index}`);
    await grow(40 * 1024 ** 2);
    const restore = (revision: number) =>
      files.history.restore({ mount: memory, actor: person(), path, to: { revision } });
    const undo = () => files.history.undo({ mount: memory, actor: person(), sessionId });
    // Of a session's changes only the last is needed, as there was nothing before them.
    await expect(undo()).resolves.toMatchObject({ changes: [{ change: "deleted" }] });
    await restore(1);
    await grow(65 * 1024 ** 2);
    await expect(restore(3)).rejects.toMatchObject({ code: "too_large" });
    await expect(undo()).rejects.toMatchObject({ code: "too_large" });
  });
});
