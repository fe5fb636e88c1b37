import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../db/testing.ts";
import { skillManifest } from "../../testing-skills.ts";
import { encodeText, sha256Of } from "../../text.ts";
import { createStoredFiles } from "../stored-files.ts";
import { removeVersion } from "./remove-skill.ts";
import { createTestOrganization, createTestSession } from "../testing.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

describe("the skills of a session", () => {
  it("are those of its organization, at a revision", async () => {
    const organizationId = await createTestOrganization(test.database);
    const viewer = { organizationId, sessionId: await createTestSession(test.database, organizationId) };
    const files = createStoredFiles(test.database);
    const skills = files.sessionSkills;
    expect(await skills.pinned(viewer)).toBe(0);
    const run = { path: "scripts/run.sh", bytes: encodeText("true\n"), executable: true };
    const first = await files.importSkill(organizationId, "review", [skillManifest("review", "One.\n"), run]);
    const second = await files.importSkill(organizationId, "review", [skillManifest("review", "Two.\n")]);
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
      ["/skills/review/SKILL.md", sha256Of(skillManifest("review", "Two.\n").bytes)],
    ]);
    expect((await skills.at(viewer, 0)).files.size).toBe(0);
  });

  it("are those that its agent names, at the versions that it names", async () => {
    const organizationId = await createTestOrganization(test.database);
    const viewer = { organizationId, sessionId: await createTestSession(test.database, organizationId) };
    const files = createStoredFiles(test.database);
    const skills = files.sessionSkills;
    for (const body of ["One.\n", "Two.\n"])
      for (const name of ["audit", "review", "write"]) {
        await files.importSkill(organizationId, name, [skillManifest(name, body)]);
      }
    const all = await skills.at(viewer, 6);
    expect(all.skills.map(({ name }) => name)).toEqual(["audit", "review", "write"]);
    const old = await skills.at(viewer, 3);
    const [audit, review] = [old.skills[0], all.skills[1]];
    await test.database
      .updateTable("sessions")
      .set({
        agent: JSON.stringify({
          skills: [
            { type: "custom", skill_id: audit?.id, version: audit?.version },
            { type: "custom", skill_id: review?.id, version: "latest" },
          ],
        }),
      })
      .where("id", "=", viewer.sessionId)
      .execute();
    const hashes = async (revision: number) =>
      [...(await skills.at(viewer, revision)).files.values()].map(({ path, sha256 }) => [path, sha256]);
    const sha = (name: string, body: string) => sha256Of(skillManifest(name, body).bytes);
    // The version that it names has nothing to do with the revision.
    expect(await hashes(6)).toEqual([
      ["/skills/audit/SKILL.md", sha("audit", "One.\n")],
      ["/skills/review/SKILL.md", sha("review", "Two.\n")],
    ]);
    expect(await hashes(2)).toEqual([
      ["/skills/audit/SKILL.md", sha("audit", "One.\n")],
      ["/skills/review/SKILL.md", sha("review", "One.\n")],
    ]);
    const stranger = { organizationId: await createTestOrganization(test.database), sessionId: viewer.sessionId };
    expect((await skills.at(stranger, 6)).files.size).toBe(0);
  });

  it("stay when a version is deleted that holds what the one before holds", async () => {
    const organizationId = await createTestOrganization(test.database);
    const viewer = { organizationId, sessionId: await createTestSession(test.database, organizationId) };
    const files = createStoredFiles(test.database);
    let revision = 0;
    for (const body of ["One.\n", "Two.\n", "One.\n"])
      ({ revision } = await files.importSkill(organizationId, "review", [skillManifest("review", body)]));
    const versions = await test.database
      .selectFrom("skill_versions")
      .select(["id", "skill_id"])
      .where("organization_id", "=", organizationId)
      .orderBy("number")
      .execute();
    for (const { id, skill_id: skillId } of versions.slice(1))
      await removeVersion(test.database, organizationId, { skillId, name: "review" }, id);
    const [left] = (await files.sessionSkills.at(viewer, revision)).skills;
    expect(left).toMatchObject({ name: "review", version: versions[0]?.id });
  });

  it("are no more when their version is deleted", async () => {
    const organizationId = await createTestOrganization(test.database);
    const viewer = { organizationId, sessionId: await createTestSession(test.database, organizationId) };
    const files = createStoredFiles(test.database);
    await files.importSkill(organizationId, "review", [skillManifest("review", "One.\n")]);
    const before = await files.sessionSkills.at(viewer, 1);
    await test.database.deleteFrom("skill_versions").where("organization_id", "=", organizationId).execute();
    expect(before.skills).toHaveLength(1);
    expect((await files.sessionSkills.at(viewer, 1)).skills).toEqual([]);
  });
});
