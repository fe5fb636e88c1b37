/**
 * What `/skills` holds for one session: the skills of its organization, or those that its agent names, as they were when
 * the session's turn began. Nothing of it changes within a turn, so that what a model was told is still there when it
 * looks.
 * @module
 */

export interface SkillViewer {
  readonly organizationId: string;
  readonly sessionId: string;
}

/** One file below `/skills`. Its content is in the blobs of the organization, under its hash. */
export interface SessionSkillFile {
  /** As the session sees it, such as `/skills/review/SKILL.md`. */
  readonly path: string;
  /** In hexadecimal. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  readonly executable: boolean;
}

/** One skill as the session has it. */
export interface SessionSkill {
  readonly id: string;
  readonly name: string;
  /** Such as `/skills/review`. */
  readonly directory: string;
  /** Of the skill: skillver_…. */
  readonly version: string;
  readonly description: string;
  /** Milliseconds since the epoch. */
  readonly changedAt: number;
}

export interface SkillSet {
  /** Of the skills mount. */
  readonly revision: number;
  /** In the order of their names. */
  readonly skills: readonly SessionSkill[];
  /** By path; those of one skill together. */
  readonly files: ReadonlyMap<string, SessionSkillFile>;
}

export interface SessionSkills {
  /** The revision with which a turn would begin now. */
  newest(viewer: SkillViewer): Promise<number>;
  /**
   * The revision of the skills mount that the session's turn began with; the newest before any turn has begun. One small
   * query: whoever holds the set of this revision need not ask for it again.
   */
  pinned(viewer: SkillViewer): Promise<number>;
  /**
   * What the session sees at a revision: always the same for the same session and revision, but for versions of skills
   * that somebody has deleted since, which are gone from it.
   * @example const set = await skills.at(viewer, await skills.pinned(viewer))
   */
  at(viewer: SkillViewer, revision: number): Promise<SkillSet>;
}
