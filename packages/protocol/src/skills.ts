/** Skills and their versions: `/v1/skills`. A skill is uploaded as files; what it holds never changes within a version. @module */
import { z } from "zod";
import { deletionOf, pageOf } from "./pages.ts";
import { timestamp } from "./values.ts";

const skillSource = z.enum(["custom", "anthropic", "anthropic_example", "plugin"]);
export type SkillSourceType = z.infer<typeof skillSource>;

/** Characters. */
export const longestDisplayName = 255;

export const skill = z
  .object({
    id: z.string(),
    type: z.literal("skill"),
    display_name: z.string(),
    latest_version_id: z.string(),
    source: z.object({ type: skillSource }),
    created_at: timestamp,
    updated_at: timestamp,
    x_exoloop: z.object({
      /** Of the directory and of every version. */
      name: z.string(),
      /** Where sessions find it, such as `/skills/review`; null when it was removed from there and its versions stay. */
      directory: z.string().nullable(),
    }),
  })
  .meta({ id: "Skill" });
export type Skill = z.infer<typeof skill>;
export const skillPage = pageOf(skill).meta({ id: "SkillPage" });

export const skillVersion = z
  .object({
    id: z.string(),
    type: z.literal("skill_version"),
    skill_id: z.string(),
    name: z.string(),
    description: z.string(),
    created_at: timestamp,
    x_exoloop: z.object({ files: z.int(), bytes: z.int() }),
  })
  .meta({ id: "SkillVersion" });
export type SkillVersion = z.infer<typeof skillVersion>;
export const skillVersionPage = pageOf(skillVersion).meta({ id: "SkillVersionPage" });

export const deletedSkill = deletionOf("skill_deleted").meta({ id: "DeletedSkill" });
export const deletedSkillVersion = deletionOf("skill_version_deleted").meta({ id: "DeletedSkillVersion" });
