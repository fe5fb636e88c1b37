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
import type { TreeEntry } from "@exoloop/sandbox/session";
import { SandboxFileError } from "@exoloop/sandbox/errors";
import type { Workspace } from "../sandboxes/workspace.ts";
import { mountOf, type StoredMount, storedRoots } from "./mounts.ts";
import type { SandboxKey } from "./postgres/projection-records.ts";
import type { StoredFiles } from "./postgres/stored-files.ts";
import { type Baseline, type BaselineCache, emptyBaseline, rebuildBaseline } from "./projection/baseline.ts";
import { capture, type Layer } from "./projection/capture.ts";
import { tellStrays } from "./projection/inspect.ts";
import { type FileToLay, layFiles, makeMountDirectories } from "./projection/lay.ts";
import { describeSync, explain } from "./projection/report.ts";

export interface ProjectionDependencies {
  readonly files: StoredFiles;
  /** One per process, shared by all projections. */
  readonly baselines: BaselineCache;
  readonly organizationId: string;
  readonly sessionId: string;
  readonly mounts: readonly StoredMount[];
  /** For whom the session works: whoever changes a file is written into its history. */
  readonly userId?: string | null;
}

export interface FileProjection {
  /** Brings the copies up to date. Costs two small queries when nothing has changed. */
  before(workspace: Workspace): Promise<void>;
  /** Saves what the command changed. The text tells the model; null when there is nothing to tell. */
  after(workspace: Workspace, toolUseId: string): Promise<string | null>;
}

/** @example const projection = createProjection({ files, baselines, organizationId, sessionId, mounts: storedMounts }) */
export function createProjection(dependencies: ProjectionDependencies): FileProjection {
  return {
    async before(workspace) {
      const { baseline, recorded } = await findBaseline(dependencies, workspace);
      if (baseline !== null && (await isCurrent(dependencies, baseline))) return;
      try {
        await synchronise(dependencies, workspace, { baseline, recorded, toolUseId: null });
      } catch (error) {
        // Only a command can put a full or overcrowded disk right. Its base stays the recorded one.
        if (!(error instanceof SandboxFileError) || recorded === null) throw error;
      }
    },
    async after(workspace, toolUseId) {
      const { baseline, recorded } = await findBaseline(dependencies, workspace);
      try {
        return await synchronise(dependencies, workspace, { baseline, recorded, toolUseId });
      } catch (error) {
        if (!(error instanceof SandboxFileError)) throw error;
        return describeSync([explain.unsynchronised(error.message)]);
      }
    },
  };
}

interface FoundBaseline {
  /** Null when it is to be derived. */
  readonly baseline: Baseline | null;
  /** Null when no command has run in this sandbox yet. */
  readonly recorded: ReadonlyMap<string, number> | null;
}

/** A baseline whose revisions are not those on record belongs to a time before another worker's. */
async function findBaseline(dependencies: ProjectionDependencies, workspace: Workspace): Promise<FoundBaseline> {
  const { files, baselines, mounts } = dependencies;
  const key = keyOf(dependencies, workspace);
  const recorded = await files.projections.find(key);
  const cached = baselines.get(key);
  const valid =
    cached !== undefined &&
    recorded !== null &&
    mounts.every((mount) => cached.revisions.get(mount.key) === recorded.get(mount.key));
  return { baseline: valid ? cached : null, recorded };
}

function keyOf(
  { organizationId, sessionId }: ProjectionDependencies,
  { sandboxId, generation }: Workspace,
): SandboxKey {
  return { organizationId, sessionId, sandboxId, generation };
}

async function isCurrent(
  { files, organizationId, mounts }: ProjectionDependencies,
  baseline: Baseline,
): Promise<boolean> {
  const revisions = await Promise.all(mounts.map((mount) => files.revision(organizationId, mount)));
  return mounts.every((mount, index) => baseline.revisions.get(mount.key) === revisions[index]);
}

async function scan({ session }: Workspace): Promise<readonly TreeEntry[]> {
  const trees = await Promise.all(storedRoots.map((path) => session.listTree({ path })));
  return trees.flat();
}

async function synchronise(
  dependencies: ProjectionDependencies,
  workspace: Workspace,
  start: FoundBaseline & { readonly toolUseId: string | null },
): Promise<string | null> {
  const { baselines } = dependencies;
  const key = keyOf(dependencies, workspace);
  if (start.recorded === null) await makeMountDirectories(workspace.session, dependencies.mounts);
  const entries = await scan(workspace);
  const baseline = start.baseline ?? (await deriveBaseline(dependencies, workspace, start.recorded, entries));
  // Until all is done the copies match no baseline: a failure in between makes the next use derive it again.
  baselines.delete(key);
  const lines = baseline.pending.splice(0);
  const layer = createLayer(dependencies, workspace, baseline);
  if (start.recorded !== null) {
    tellStrays({ session: workspace.session, baseline, lines }, dependencies.mounts, entries);
    for (const mount of dependencies.mounts) {
      const inside = entries.filter((entry) => mountOf([mount], entry.path) !== undefined);
      await capture({ dependencies, workspace, baseline, layer, lines, toolUseId: start.toolUseId }, mount, inside);
    }
  }
  const before = new Map(baseline.revisions);
  for (const mount of dependencies.mounts) await pull(dependencies, baseline, mount, layer);
  await layer.lay();
  const moved =
    start.recorded === null ||
    dependencies.mounts.some((mount) => before.get(mount.key) !== baseline.revisions.get(mount.key));
  if (moved) await dependencies.files.projections.save(key, baseline.revisions);
  baselines.set(key, baseline);
  if (start.toolUseId !== null) return describeSync(lines);
  baseline.pending.push(...lines);
  return null;
}

/** Where no command has run, whatever lies there is an unfinished projection: it is overwritten. */
async function deriveBaseline(
  { files, organizationId, mounts }: ProjectionDependencies,
  { session }: Workspace,
  recorded: FoundBaseline["recorded"],
  entries: readonly TreeEntry[],
): Promise<Baseline> {
  if (recorded === null) return emptyBaseline();
  return rebuildBaseline({ files, organizationId, mounts, revisions: recorded, session, entries });
}

function createLayer(
  { files, organizationId }: ProjectionDependencies,
  workspace: Workspace,
  baseline: Baseline,
): Layer {
  const wanted = new Map<string, FileToLay>();
  return {
    wanted,
    left: new Set(),
    add: (mount, head) => void wanted.set(head.path, { head, readOnly: mount.access === "read_only" }),
    async removeCopy(path) {
      await workspace.session.deleteFile({ path });
    },
    async lay() {
      if (wanted.size === 0) return;
      await layFiles(workspace.session, files, organizationId, [...wanted.values()]);
      const fingerprints = new Map((await scan(workspace)).map((entry) => [entry.path, entry.fingerprint]));
      for (const { head } of wanted.values()) {
        const { path, version, sha256, executable } = head;
        baseline.files.set(path, { version, sha256, executable, fingerprint: fingerprints.get(path) ?? "" });
      }
    },
  };
}

/** What changed in Postgres since the sandbox's revision, by anybody, including this very capture. */
async function pull(
  { files, organizationId }: ProjectionDependencies,
  baseline: Baseline,
  mount: StoredMount,
  layer: Layer,
): Promise<void> {
  const held = baseline.revisions.get(mount.key);
  // The revision is read first: what is committed in between is laid now and again next time.
  const revision = await files.revision(organizationId, mount);
  baseline.revisions.set(mount.key, revision);
  if (held === revision) return;
  const changes =
    held === undefined
      ? (await files.manifest(organizationId, mount)).map((head) => ({ path: head.path, head }))
      : await files.changesSince(organizationId, mount, held);
  for (const { path, head } of changes) {
    if (layer.left.has(path)) continue;
    const laid = baseline.files.get(path);
    if (head === null) {
      if (laid === undefined) continue;
      await layer.removeCopy(path);
      baseline.files.delete(path);
    } else if (laid?.sha256 === head.sha256 && laid.executable === head.executable && laid.fingerprint !== "") {
      baseline.files.set(path, { ...laid, version: head.version });
    } else layer.add(mount, head);
  }
}
