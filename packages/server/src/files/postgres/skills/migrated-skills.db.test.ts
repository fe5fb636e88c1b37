/** Skills that an older server has stored, after the migration that gives them versions. */
import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../../../db/database.ts";
import { migrate, migrationsDirectory } from "../../../db/migrate.ts";
import { createEmptyDatabase } from "../../../db/testing.ts";
import { createStoredFiles } from "../stored-files.ts";
import { createTestSession } from "../testing.ts";

const made: { drop(): Promise<void> }[] = [];
afterAll(async () => {
  for (const database of made) await database.drop();
});

test("have a version with what they held, and sessions see it", async () => {
  const empty = await createEmptyDatabase();
  made.push(empty);
  const older = await mkdtemp(join(tmpdir(), "exoloop-migrations-"));
  for (const name of await readdir(migrationsDirectory))
    if (name < "0017") await copyFile(join(migrationsDirectory, name), join(older, name));
  await migrate(empty.url, older);
  await rm(older, { recursive: true });
  const client = new Client({ connectionString: empty.url });
  await client.connect();
  await client.query(`
    insert into organizations (id, name) values ('org_1', 'One');
    insert into file_mounts (organization_id, mount, revision, files) values ('org_1', 'skills', 3, 3);
    insert into file_blobs values ('org_1', 'a', 'x'), ('org_1', 'b', 'y');
    insert into file_entries (organization_id, mount, path, folded_path, kind, version, revision, sha256, size_bytes, executable)
      values ('org_1', 'skills', '/review', '/review', 'directory', 1, 1, null, 0, false),
        ('org_1', 'skills', '/review/SKILL.md', '/review/skill.md', 'file', 1, 1, 'a', 1, false),
        ('org_1', 'skills', '/review/scripts/run.sh', '/review/scripts/run.sh', 'file', 1, 1, 'b', 1, true),
        ('org_1', 'skills', '/loose/x', '/loose/x', 'file', 1, 2, 'b', 1, false);
    insert into file_texts select id, 'org_1', E'---\\nname: review\\ndescription: Reviews code.\\n---\\n'
      from file_entries where path = '/review/SKILL.md'`);
  await client.end();
  await migrate(empty.url);
  const database = await openDatabase(empty.url, { maximumConnections: 2, applicationName: "test" });
  try {
    const viewer = { organizationId: "org_1", sessionId: await createTestSession(database, "org_1") };
    const { sessionSkills } = createStoredFiles(database);
    const set = await sessionSkills.at(viewer, await sessionSkills.pinned(viewer));
    expect(set.skills).toMatchObject([{ name: "review", description: "Reviews code." }]);
    expect([...set.files.values()]).toEqual([
      { path: "/skills/review/SKILL.md", sha256: "a", size: 1, executable: false },
      { path: "/skills/review/scripts/run.sh", sha256: "b", size: 1, executable: true },
    ]);
    const skill = await database.selectFrom("skills").selectAll().executeTakeFirstOrThrow();
    expect(skill.latest_version_id).toBe(set.skills[0]?.version);
  } finally {
    await database.destroy();
  }
}, 60_000);
