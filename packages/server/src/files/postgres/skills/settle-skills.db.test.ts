import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../db/testing.ts";
import { skillsMount } from "../../mounts.ts";
import { type FileActor, FileError } from "../../store.ts";
import { skillManifest } from "../../testing-skills.ts";
import { encodeText } from "../../text.ts";
import type { FileChange } from "../change.ts";
import { createStoredFiles, type StoredFiles } from "../stored-files.ts";
import { actorOf, createTestOrganization } from "../testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let actor: FileActor;
beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
});
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  actor = actorOf(organizationId, null, "api");
});
afterAll(() => test.drop());

const put = (path: string, bytes: Uint8Array | string, executable = false): FileChange => ({
  type: "put",
  path: `/skills/${path}`,
  bytes: typeof bytes === "string" ? encodeText(bytes) : bytes,
  executable,
  operation: "write",
});
const remove = (path: string): FileChange => ({ type: "delete", path: `/skills/${path}` });
const manifest = (name: string, body = "Do it.\n") => put(`${name}/SKILL.md`, skillManifest(name, body).bytes);

/** As a push of files by anybody: not through the import. */
function push(...changes: FileChange[]) {
  const paths = changes.map((change) => change.path);
  return files.commit({ mount: skillsMount, actor, paths }, () => ({ changes, result: null }));
}
const told = async (work: Promise<unknown>) =>
  work.then(
    () => "stored",
    (error: unknown) => (error instanceof FileError ? `${error.code}: ${error.message}` : String(error)),
  );
const versions = async () => {
  const rows = await test.database
    .selectFrom("skill_heads")
    .innerJoin("skills", "skills.id", "skill_heads.skill_id")
    .leftJoin("skill_versions", "skill_versions.id", "skill_heads.version_id")
    .select(["skills.name", "revision", "description", "files", "bytes", "version_id", "latest_version_id"])
    .where("skill_heads.organization_id", "=", organizationId)
    .orderBy("revision")
    .orderBy("skills.name")
    .execute();
  return rows;
};

describe("a commit into /skills", () => {
  it("makes a version of each skill that it touches, and of no other", async () => {
    await push(manifest("audit"), manifest("review"), put("review/scripts/run.sh", "true\n", true));
    await push(put("review/scripts/run.sh", "false\n", true));
    expect((await versions()).map(({ name, revision, files: count }) => [name, revision, count])).toEqual([
      ["audit", 1, 1],
      ["review", 1, 2],
      ["review", 2, 2],
    ]);
  });

  it("with one bad file in twenty stores none of them", async () => {
    const good = Array.from({ length: 19 }, (_, index) => manifest(`skill-${index}`));
    const bad = put("skill-7b/SKILL.md", "---\nname: skill-7b\ndescription: Do <b>it</b>\n---\n");
    expect(await told(push(...good.slice(0, 10), bad, ...good.slice(10)))).toBe(
      'invalid_skill: /skills/skill-7b/SKILL.md, line 3: description holds the XML tag "<b>": tags are not allowed in it. Nothing was stored.',
    );
    expect(await files.revision(organizationId, skillsMount)).toBe(0);
    expect(await files.manifest(organizationId, skillsMount)).toEqual([]);
    expect(await versions()).toEqual([]);
  });

  it.each([
    ["a file beside the skills", [put("README.md", "x")], "/skills/README.md: lies beside the skills"],
    ["no SKILL.md", [put("review/run.sh", "x")], "/skills/review/SKILL.md: is missing"],
    [
      "another name in it",
      [put("audit/SKILL.md", skillManifest("review", "").bytes)],
      'name is "review", but the directory is "audit"',
    ],
    [
      "a name that is none",
      [put("Review/SKILL.md", skillManifest("review", "").bytes)],
      'the directory\'s name "Review" holds other characters',
    ],
    [
      "bytes for text",
      [put("review/SKILL.md", new Uint8Array([0, 1]))],
      "/skills/review/SKILL.md: is not text in UTF-8.",
    ],
    [
      "a file that became too many",
      [manifest("review"), ...Array.from({ length: 1_000 }, (_, at) => put(`review/${at}`, "x"))],
      "/skills/review: has 1001 files",
    ],
  ])("is refused with %s", async (_title, changes, message) => {
    expect(await told(push(...changes))).toContain(message);
    expect(await files.revision(organizationId, skillsMount)).toBe(0);
  });

  it("cannot take SKILL.md from a skill, nor spoil it by an edit", async () => {
    await push(manifest("review"), put("review/run.sh", "true\n"));
    expect(await told(push(remove("review/SKILL.md")))).toContain("/skills/review/SKILL.md: is missing");
    const edit = files
      .open({ organizationId, sessionId: null }, skillsMount)
      .edit("/skills/review/SKILL.md", { oldText: "name: review", newText: "name: reviews", all: false }, actor);
    expect(await told(edit)).toContain("/skills/review/SKILL.md, line 2: name is");
    expect(await files.revision(organizationId, skillsMount)).toBe(1);
  });

  it("that removes a skill keeps its versions, and the same files again are the same version", async () => {
    await push(manifest("review"), put("review/run.sh", "true\n"));
    await push(remove("review/SKILL.md"), remove("review/run.sh"));
    await push(manifest("review"), put("review/run.sh", "true\n"));
    const heads = await versions();
    expect(heads.map(({ version_id }) => version_id)).toEqual([heads[0]?.version_id, null, heads[0]?.version_id]);
    expect(heads[0]?.version_id).toBe(heads[0]?.latest_version_id);
  });

  it("is not changed by a skill that was stored before the rules", async () => {
    await push(manifest("review"));
    // As an older server has left it.
    const { organization_id, ...entry } = await test.database
      .selectFrom("file_entries")
      .selectAll()
      .where("organization_id", "=", organizationId)
      .where("path", "=", "/review/SKILL.md")
      .executeTakeFirstOrThrow();
    await test.database
      .insertInto("file_entries")
      .values({ organization_id, ...entry, id: undefined, path: "/old/x", folded_path: "/old/x" })
      .execute();
    expect(await told(push(manifest("review", "Do it well.\n")))).toBe("stored");
    expect(await told(push(put("old/y", "x")))).toContain("/skills/old/SKILL.md: is missing");
  });
});
