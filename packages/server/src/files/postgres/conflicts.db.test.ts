/** Commits in two mounts that store the same contents, some of them as lost texts. @module */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { memoryStoreMount, organizationMemoryMount } from "../mounts.ts";
import { encodeText } from "../text.ts";
import { createStoredFiles } from "./stored-files.ts";
import { actorOf, createTestOrganization } from "./testing.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
}, 60_000);
afterAll(() => test?.drop());

it("do not wait for each other in a ring", async () => {
  const organizationId = await createTestOrganization(test.database);
  const files = createStoredFiles(test.database);
  const mounts = [organizationMemoryMount, memoryStoreMount("store/memstore_a", "/memory/a", "read_write")];
  for (let round = 0; round < 6; round += 1) {
    const halves = [0, 1].map((half) => Array.from({ length: 60 }, (_, index) => `${round} ${half} ${index}`));
    await Promise.all(
      mounts.map((mount, number) => {
        const changes = (halves[number] ?? []).map((text) => ({
          type: "put" as const,
          path: `${mount.prefix}/${text}`,
          bytes: encodeText(text),
          executable: null,
          operation: "write" as const,
        }));
        const lost = (halves[1 - number] ?? []).map((text) => ({
          path: `${mount.prefix}/lost`,
          bytes: encodeText(text),
          baseVersion: null,
          headVersion: null,
        }));
        const request = { mount, actor: actorOf(organizationId, null, "bash"), paths: [] };
        return files.commit(request, () => ({ changes, lost, result: null }));
      }),
    );
  }
  for (const mount of mounts) expect(await files.manifest(organizationId, mount)).toHaveLength(360);
}, 60_000);
