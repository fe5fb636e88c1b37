/** What the commands need of a server's skills, in the protocol's words. @module */
import type { Skill, SkillVersion } from "@exoloop/protocol/skills";

/** Archives hold one directory, the skill's. */
export interface SkillsApi {
  /** Newest first. */
  skills(): Promise<readonly Skill[]>;
  createSkill(name: string, zip: Uint8Array): Promise<Skill>;
  addSkillVersion(skill: { readonly id: string; readonly name: string }, zip: Uint8Array): Promise<SkillVersion>;
  /** Newest first. */
  skillVersions(id: string): Promise<readonly SkillVersion[]>;
  /** @param version An identifier, or `latest`. */
  downloadSkill(id: string, version: string): Promise<Uint8Array>;
  deleteSkillVersion(id: string, version: string): Promise<void>;
  /** Only one without versions. */
  deleteSkill(id: string): Promise<void>;
}
