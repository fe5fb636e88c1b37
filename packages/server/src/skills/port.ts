/** What HTTP asks of skills; `files/postgres/skills/skill-service.ts` answers it. @module */
import type { Skill, SkillVersion } from "@exoloop/protocol/skills";
import type { ListPage, ListQuery } from "../agents/list.ts";
import type { Principal } from "../orgs/principal.ts";
import type { SkillSource } from "./intake/skill-source.ts";

export interface SkillUpload {
  readonly source: SkillSource;
  /** A line for people; the skill's name unless given. */
  readonly displayName: string | null;
}

/** The newest version, where a version is asked for. */
export const latestVersion = "latest";

/** Skills of one organization at a time: another organization's skill is `not_found`. */
export interface SkillService {
  /** @throws Problem `invalid_skill`, `name_taken` */
  create(principal: Principal, upload: SkillUpload): Promise<Skill>;
  /** @throws Problem `not_found` */
  get(principal: Principal, skillId: string): Promise<Skill>;
  list(principal: Principal, query: ListQuery): Promise<ListPage<Skill>>;
  /** Only a skill without versions. @throws Problem `not_found`, `skill_has_versions` */
  remove(principal: Principal, skillId: string): Promise<void>;
  /**
   * The latest from now on, also of what sessions see from their next turn on. The files of the latest version again
   * make no new one: the answer is the latest.
   * @throws Problem `not_found`, `invalid_skill`
   */
  addVersion(principal: Principal, skillId: string, source: SkillSource): Promise<SkillVersion>;
  /** `latest` is a version, too. @throws Problem `not_found` */
  getVersion(principal: Principal, skillId: string, version: string): Promise<SkillVersion>;
  /** @throws Problem `not_found` */
  listVersions(principal: Principal, skillId: string, query: ListQuery): Promise<ListPage<SkillVersion>>;
  /** Where it was the latest, the one before is. @throws Problem `not_found` */
  removeVersion(principal: Principal, skillId: string, versionId: string): Promise<string>;
  /** A zip with the skill's directory. @throws Problem `not_found` */
  download(
    principal: Principal,
    skillId: string,
    version: string,
  ): Promise<{ readonly name: string; readonly bytes: Uint8Array }>;
}
