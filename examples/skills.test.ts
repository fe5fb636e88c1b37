/** The skills among the examples keep the rules. */
import { globSync } from "node:fs";
import { join } from "node:path";
import { readSkill } from "@exoloop/server/skills/format/skill-files";
import { readFolder } from "@exoloop/server/skills/intake/folder";
import { expect, test } from "vitest";

const folders = globSync("skills/*", { cwd: import.meta.dirname });

test("there are some", () => expect(folders.length).toBeGreaterThan(0));

test.each(folders)("%s is a skill, without a note", async (folder) => {
  const { directory, files } = await readFolder(join(import.meta.dirname, folder));
  expect(readSkill(files, directory)).toMatchObject({ problems: [], notices: [] });
  expect(files.filter(({ path }) => path.endsWith(".sh")).every(({ executable }) => executable)).toBe(true);
});
