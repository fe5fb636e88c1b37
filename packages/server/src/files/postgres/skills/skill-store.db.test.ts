import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../db/testing.ts";
import { skillsMount } from "../../mounts.ts";
import { FileError } from "../../store.ts";
import { skillManifest } from "../../testing-skills.ts";
import { decodeText, encodeText } from "../../text.ts";
import { createStoredFiles, type StoredFiles } from "../stored-files.ts";
import { createTestOrganization, createTestSession } from "../testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let viewer: { readonly organizationId: string; readonly sessionId: string };
beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
});
beforeEach(async () => {
  const organizationId = await createTestOrganization(test.database);
  viewer = { organizationId, sessionId: await createTestSession(test.database, organizationId) };
  const run = { path: "scripts/run.sh", bytes: encodeText("echo needle\n"), executable: true };
  const logo = { path: "logo.bin", bytes: new Uint8Array([0, 1]) };
  await files.importSkill(organizationId, "review", [skillManifest("review", "Old needle.\n"), run, logo]);
  await files.importSkill(organizationId, "audit", [skillManifest("audit", "Look.\n")]);
});
afterAll(() => test.drop());

/** As the loop does when a turn begins. */
async function begin(revision: number, seq: number) {
  await test.database
    .insertInto("session_events")
    .values({
      session_id: viewer.sessionId,
      organization_id: viewer.organizationId,
      seq,
      id: createId("event"),
      type: "x.skills",
      data: "null",
      record: JSON.stringify({ revision }),
      epoch: 0,
    })
    .execute();
}
const store = () => files.open(viewer, skillsMount);
const text = async (path: string) =>
  decodeText((await store().read(path)).bytes)
    ?.split("\n")
    .at(-2);
const code = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => (error instanceof FileError ? error.code : String(error)),
  );
const grep = async (pattern: string, path = "/skills") => {
  const { lines } = await store().grep({ pattern, path, ignoreCase: false, maximumMatches: 10 });
  return lines.map((line) => `${line.path}:${line.line}:${line.text}`);
};

describe("/skills in a session", () => {
  it("is as it was when its turn began, for every look", async () => {
    await begin(2, 1);
    await files.importSkill(viewer.organizationId, "review", [skillManifest("review", "New needle.\n")]);
    await files.importSkill(viewer.organizationId, "write", [skillManifest("write", "needle\n")]);
    expect(await text("/skills/review/SKILL.md")).toBe("Old needle.");
    expect(await grep("needle")).toEqual([
      "/skills/review/SKILL.md:5:Old needle.",
      "/skills/review/scripts/run.sh:1:echo needle",
    ]);
    const found = await store().glob("/skills", "*/SKILL.md", 10);
    expect(found.map(({ path }) => path)).toEqual(["/skills/audit/SKILL.md", "/skills/review/SKILL.md"]);
    expect((await store().list("/skills", 10)).map(({ path, kind }) => [path, kind])).toEqual([
      ["/skills/audit", "directory"],
      ["/skills/review", "directory"],
    ]);
    expect(await store().stat("/skills/review/scripts/run.sh")).toMatchObject({
      kind: "file",
      size: 12,
      executable: true,
    });
    expect(await store().stat("/skills/write")).toBeNull();

    await begin(4, 2);
    expect(await text("/skills/review/SKILL.md")).toBe("New needle.");
    expect(await grep("needle")).toEqual(["/skills/review/SKILL.md:5:New needle.", "/skills/write/SKILL.md:5:needle"]);
    expect(await code(store().read("/skills/review/scripts/run.sh"))).toBe("not_found");
    // The API sees the heads.
    expect(await code(files.open({ ...viewer, sessionId: null }, skillsMount).read("/skills/write/SKILL.md"))).toBe(
      "done",
    );
  });

  it("says what is a directory, what is a file and what is not there", async () => {
    expect(await code(store().read("/skills/review"))).toBe("is_directory");
    expect(await code(store().read("/skills/none/SKILL.md"))).toBe("not_found");
    expect(await code(store().list("/skills/review/SKILL.md", 10))).toBe("not_directory");
    expect(await code(store().list("/skills/none", 10))).toBe("not_found");
    expect((await store().list("/skills/review", 2)).map(({ path }) => path)).toEqual([
      "/skills/review/SKILL.md",
      "/skills/review/logo.bin",
    ]);
    expect(await grep("needle", "/skills/review/scripts/run.sh")).toEqual([
      "/skills/review/scripts/run.sh:1:echo needle",
    ]);
    expect(await grep("needle", "/skills/audit")).toEqual([]);
  });

  it("holds what the agent names, and nothing else", async () => {
    const { skills } = await files.sessionSkills.at(viewer, 2);
    const audit = skills.find(({ name }) => name === "audit");
    const agent = { skills: [{ type: "custom", skill_id: audit?.id, version: "latest" }] };
    await test.database
      .updateTable("sessions")
      .set({ agent: JSON.stringify(agent) })
      .where("id", "=", viewer.sessionId)
      .execute();
    expect(await code(store().read("/skills/review/SKILL.md"))).toBe("not_found");
    expect(await grep("needle")).toEqual([]);
    expect(await text("/skills/audit/SKILL.md")).toBe("Look.");
  });
});
