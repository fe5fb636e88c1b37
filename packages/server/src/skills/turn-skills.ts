/** The skills with which a turn begins. @module */
import type { SessionSkills, SkillViewer } from "../files/session-skills.ts";
import { describeChanges, describeSkills } from "./disclosure.ts";

export interface TurnSkills {
  /** Of the skills mount. */
  readonly revision: number;
  /** For the model; null when it need not be told anything. */
  readonly text: string | null;
}

/** Of the directory into which a worker lays the skills that an agent names, in its own. */
const workersRoot = "skills";

/**
 * One small query where nothing has changed.
 * @param known Revision that the model was told of; null: it was told of none.
 * @param atWorker The session's tools run at a worker, which lays skills below its own directory.
 * @returns null when there is nothing new
 */
export async function readTurnSkills(
  skills: SessionSkills,
  viewer: SkillViewer,
  known: number | null,
  atWorker = false,
): Promise<TurnSkills | null> {
  const revision = await skills.newest(viewer);
  if (revision === known) return null;
  const root = atWorker ? workersRoot : undefined;
  const now = await skills.at(viewer, revision);
  if (known !== null) {
    const before = await skills.at(viewer, known);
    return { revision, text: describeChanges(before.skills, now.skills, root) };
  }
  const text = describeSkills(now.skills, root);
  return text === null ? null : { revision, text };
}
