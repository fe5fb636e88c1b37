import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { encodeText, sha256Of } from "../text.ts";
import { createStoredFiles } from "./stored-files.ts";
import { createTestOrganization, createTestSession } from "./testing.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

const manifest = (name: string, description: string) => ({
  path: "SKILL.md",
  bytes: encodeText(`---\nname: ${name}\ndescription: ${description}\n---\nDo it.\n`),
});

describe("the skills of a session", () => {
  it("are those of its organization, at a revision", async () => {
    const organizationId = await createTestOrganization(test.database);
    const viewer = { organizationId, sessionId: await createTestSession(test.database, organizationId) };
    const files = createStoredFiles(test.database);
    const skills = files.sessionSkills;
    expect(await skills.pinned(viewer)).toBe(0);
    const run = { path: "scripts/run.sh", bytes: encodeText("true\n"), executable: true };
    const first = await files.importSkill(organizationId, "review", [manifest("review", "One."), run]);
    const second = await files.importSkill(organizationId, "review", [manifest("review", "Two.")]);
    expect(await skills.pinned(viewer)).toBe(second.revision);
    const before = await skills.at(viewer, first.revision);
    expect([...before.files.keys()]).toEqual(["/skills/review/SKILL.md", "/skills/review/scripts/run.sh"]);
    expect(before.files.get("/skills/review/scripts/run.sh")).toEqual({
      path: "/skills/review/scripts/run.sh",
      sha256: sha256Of(run.bytes),
      size: 5,
      executable: true,
    });
    const after = await skills.at(viewer, second.revision);
    expect([...after.files.values()].map(({ path, sha256 }) => [path, sha256])).toEqual([
      ["/skills/review/SKILL.md", sha256Of(manifest("review", "Two.").bytes)],
    ]);
    expect((await skills.at(viewer, 0)).files.size).toBe(0);
  });
});
