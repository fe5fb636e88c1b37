/**
 * Stored files as real files in a sandbox. Before a command, what changed since the revision that the sandbox holds is
 * written into it; after it, what the command changed is committed by compare-and-swap, merged, or refused, and the
 * model is told. The sandbox's workload stands still meanwhile.
 *
 * | crash                                    | what happens next                                                  |
 * |------------------------------------------|--------------------------------------------------------------------|
 * | while files are laid, before the record  | no command ran: everything is laid again                           |
 * | after the record, in or after a command  | the changed copies are compared with the recorded revisions        |
 * | after the commit, before the report      | copies equal to a committed version are known by their hash; one   |
 * |                                          | that was merged is known by the hash of its source                 |
 * @module
 */
import type { Workspace } from "../sandboxes/workspace.ts";
import { skillsMount } from "./mounts.ts";
import type { ProjectionRecord, SandboxKey } from "./postgres/projection-records.ts";
import { type Baseline, isCurrent } from "./projection/baseline.ts";
import { isTargetsFault } from "./projection/laying.ts";
import { layDelta } from "./projection/delta.ts";
import type { Footing, ProjectionDependencies } from "./projection/pass.ts";
import { describeSync, explain } from "./projection/report.ts";
import { synchronise } from "./projection/synchronise.ts";
import type { ProjectionTarget } from "./projection/target.ts";
import { createSessionTarget } from "./projection/targets/session-target.ts";
import { encodeText } from "./text.ts";

export interface FileProjection {
  /** Brings the copies up to date. Costs a small query or two when nothing has changed. */
  before(workspace: Workspace): Promise<void>;
  /** Saves what the command changed. The text tells the model; null when there is nothing to tell. */
  after(workspace: Workspace, toolUseId: string): Promise<string | null>;
  /** Saves what was changed between commands; what there is to tell waits for the next report. */
  settle(workspace: Workspace): Promise<void>;
}

/** @example const projection = createProjection({ files, baselines, organizationId, sessionId, mounts: storedMounts }) */
export function createProjection(dependencies: ProjectionDependencies): FileProjection {
  const targetOf = dependencies.targetOf ?? (({ session }: Workspace) => createSessionTarget(session));
  return {
    async before(workspace) {
      const footing = await findFooting(dependencies, workspace);
      const { baseline, record, revisions } = footing;
      if (baseline !== null && isCurrent(baseline, dependencies.mounts, revisions)) return;
      const target = targetOf(workspace);
      const key = keyOf(dependencies, workspace);
      try {
        const delta =
          baseline === null ? "another_case" : await layDelta(dependencies, { key, target, baseline, revisions });
        if (delta === "laid") return;
        const derived = delta === "failed" ? { ...footing, baseline: null } : footing;
        await synchronise(dependencies, { key, target, footing: derived, toolUseId: null });
      } catch (error) {
        // Its base stays the recorded one.
        if (!isTargetsFault(error) || record === null) throw error;
      }
    },
    async after(workspace, toolUseId) {
      const target = targetOf(workspace);
      try {
        // Side by side: neither needs the other's answer.
        const [footing, fingerprint] = await Promise.all([findFooting(dependencies, workspace), target.fingerprint()]);
        const known = footing.baseline?.fingerprint === fingerprint;
        const key = keyOf(dependencies, workspace);
        const lines = known
          ? (footing.baseline?.pending.splice(0) ?? [])
          : await synchronise(dependencies, { key, target, footing, toolUseId, fingerprint });
        return await tell(target, lines, toolUseId);
      } catch (error) {
        if (!isTargetsFault(error)) throw error;
        return describeSync([explain.unsynchronised(error.message)])?.text ?? null;
      }
    },
    async settle(workspace) {
      const target = targetOf(workspace);
      try {
        const [footing, fingerprint] = await Promise.all([findFooting(dependencies, workspace), target.fingerprint()]);
        if (footing.record === null || footing.baseline?.fingerprint === fingerprint) return;
        const key = keyOf(dependencies, workspace);
        await synchronise(dependencies, { key, target, footing, toolUseId: null, fingerprint });
      } catch (error) {
        // The next report says so.
        if (!isTargetsFault(error)) throw error;
      }
    },
  };
}

async function tell(target: ProjectionTarget, lines: readonly string[], toolUseId: string): Promise<string | null> {
  const wholeAt = `/workspace/.conflicts/${toolUseId}/files_sync.txt`;
  const report = describeSync(lines, wholeAt);
  if (report === null || report.whole === null) return report?.text ?? null;
  try {
    await target.pull([
      { type: "file", path: "/workspace/.conflicts/.gitignore", bytes: encodeText("*\n"), mode: 0o644 },
      { type: "file", path: wholeAt, bytes: encodeText(report.whole), mode: 0o644 },
    ]);
    return report.text;
  } catch (error) {
    if (!isTargetsFault(error)) throw error;
    return describeSync(lines)?.text ?? null;
  }
}

/** A baseline whose revisions are not those on record belongs to a time before another worker's. */
async function findFooting(dependencies: ProjectionDependencies, workspace: Workspace): Promise<Footing> {
  const { files, baselines, mounts, organizationId, sessionId } = dependencies;
  const key = keyOf(dependencies, workspace);
  const skilled = mounts.some((mount) => mount.key === skillsMount.key);
  const [{ record, revisions }, pinned] = await Promise.all([
    files.projections.stand(key, mounts),
    skilled ? files.sessionSkills.pinned({ organizationId, sessionId }) : 0,
  ]);
  const newest = new Map(mounts.map((mount) => [mount.key, revisions.get(mount.key) ?? 0]));
  if (skilled) newest.set(skillsMount.key, pinned);
  const cached = baselines.get(key);
  const valid = cached !== undefined && record !== null && isRecorded(cached, record);
  return { baseline: valid ? cached : null, record, revisions: newest };
}

function isRecorded({ copies }: Baseline, { revisions }: ProjectionRecord): boolean {
  if (copies.size !== revisions.size) return false;
  for (const [key, { revision }] of copies) if (revisions.get(key) !== revision) return false;
  return true;
}

function keyOf(
  { organizationId, sessionId }: ProjectionDependencies,
  { sandboxId, generation }: Workspace,
): SandboxKey {
  return { organizationId, sessionId, sandboxId, generation };
}
