/**
 * The usual case before a command: others have changed a few files. They are laid without looking at everything, where
 * the copies that they replace are as they were left.
 * @module
 */
import type { SandboxKey } from "../postgres/projection-records.ts";
import type { ProjectionDependencies } from "./pass.ts";
import { type Baseline, isSamePlace, type MountCopies } from "./baseline.ts";
import { emptyLaying, isTargetsFault, type Laying, layAll } from "./laying.ts";
import { collectChanges, findChanges, type MountChange } from "./pull.ts";
import { recordOf } from "./synchronise.ts";
import type { ProjectionTarget } from "./target.ts";

/** More changes than these are worth a look at everything. */
const mostChanges = 100;

interface Delta {
  readonly key: SandboxKey;
  readonly target: ProjectionTarget;
  readonly baseline: Baseline;
  readonly revisions: ReadonlyMap<string, number>;
}

/** `failed`: the baseline is of no further use; it is to be derived again. */
export async function layDelta(
  dependencies: ProjectionDependencies,
  delta: Delta,
): Promise<"laid" | "another_case" | "failed"> {
  const { key, target, baseline, revisions } = delta;
  const { mounts, files, baselines } = dependencies;
  if (baseline.copies.size !== mounts.length) return "another_case";
  const behind: { readonly copies: MountCopies; readonly revision: number; readonly found: MountChange }[] = [];
  for (const mount of mounts) {
    const copies = baseline.copies.get(mount.key);
    const revision = revisions.get(mount.key) ?? 0;
    if (copies === undefined || copies.revision === null || !isSamePlace(copies.mount, mount)) return "another_case";
    if (copies.revision !== revision)
      behind.push({ copies, revision, found: await findChanges(dependencies, copies, revision) });
  }
  if (!(await areUntouched(target, behind))) return "another_case";
  baselines.delete(key);
  const laying = emptyLaying();
  const lines: string[] = [];
  for (const { copies, revision, found } of behind) {
    const moved = { ...copies, revision };
    baseline.copies.set(copies.mount.key, moved);
    collectChanges(moved, found, laying);
    lines.push(...found.stale.map(({ line }) => line));
  }
  if (!(await lay(dependencies, delta, laying))) return "failed";
  await files.projections.save(key, recordOf(baseline));
  baseline.pending.push(...lines);
  baselines.set(key, baseline);
  return "laid";
}

/** A path that is in the way is found by a whole pass. */
async function lay(
  dependencies: ProjectionDependencies,
  { target, baseline }: Delta,
  laying: Laying,
): Promise<boolean> {
  try {
    await layAll(dependencies, target, baseline, laying);
    return true;
  } catch (error) {
    if (isTargetsFault(error)) return false;
    throw error;
  }
}

/** Only files, and each of them as it was laid, or absent where it is new. */
async function areUntouched(
  target: ProjectionTarget,
  behind: readonly { readonly copies: MountCopies; readonly found: MountChange }[],
): Promise<boolean> {
  const changed = behind.flatMap(({ copies, found }) => found.changes.map((change) => ({ copies, change })));
  if (changed.length > mostChanges) return false;
  const isPlain = ({ copies, change: { kind, path } }: (typeof changed)[number]) =>
    kind === "file" || (kind === "absent" && copies.files.has(path));
  if (!changed.every(isPlain)) return false;
  const present = await target.list(changed.map(({ change }) => change.path));
  const fingerprints = new Map(present.map((entry) => [entry.path, entry.fingerprint]));
  return changed.every(({ copies, change: { path } }) => {
    const laid = copies.files.get(path);
    return laid === undefined ? !fingerprints.has(path) : fingerprints.get(path) === laid.fingerprint;
  });
}
