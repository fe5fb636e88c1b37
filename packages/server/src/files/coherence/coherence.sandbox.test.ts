import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { createStoredFiles } from "../postgres/stored-files.ts";
import { createTestOrganization, createTestSession } from "../postgres/testing.ts";
import { startTestHost, type TestHost } from "../testing.ts";
import { coherenceCases, measureCoherence } from "./measure.ts";

let test: TestDatabase;
let host: TestHost;
beforeAll(async () => {
  test = await createTestDatabase();
  host = await startTestHost();
}, 90_000);
afterAll(async () => {
  await host?.stop();
  await test?.drop();
}, 30_000);

describe("whatever is done to files, by tools or by commands", () => {
  it("everybody sees it alike: tools and commands, of this session and of others", async () => {
    const organizationId = await createTestOrganization(test.database);
    const session = () => createTestSession(test.database, organizationId);
    const observations = await measureCoherence({
      files: createStoredFiles(test.database),
      provider: host.provider,
      organizationId,
      sessionIds: [await session(), await session()],
    });
    const ways = coherenceCases.reduce((sum, one) => sum + (one.tools === null ? 1 : 2), 0);
    expect(observations).toHaveLength(4 * ways);
    expect(observations.filter(({ seen, expected }) => seen !== expected)).toEqual([]);
  }, 120_000);
});
