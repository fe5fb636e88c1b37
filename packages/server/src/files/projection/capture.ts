/** Taking over what a command changed in one mount. @module */
import type { TreeEntry } from "@exoloop/sandbox/session";
import type { Workspace } from "../../sandboxes/workspace.ts";
import { holdsDeletions } from "../merge.ts";
import type { StoredMount } from "../mounts.ts";
import { relativePath, workspaceDirectory } from "../path.ts";
import type { StoredFile } from "../postgres/rows.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import { FileError } from "../store.ts";
import { encodeText } from "../text.ts";
import type { Baseline } from "./baseline.ts";
import { filesBelow, type Inspection, inspectReadOnly, inspectWritable, tellOnce } from "./inspect.ts";
import type { FileToLay } from "./lay.ts";
import { explain } from "./report.ts";
import { type ChangedCopy, type MountChanges, settleChanges, type Verdict } from "./settle.ts";

/** Files committed together. */
const portionFiles = 500;

export interface CaptureDependencies {
  readonly userId?: string | null;
  readonly files: StoredFiles;
  readonly organizationId: string;
  readonly sessionId: string;
}

/** What is to be written into the sandbox, collected and then laid at once. */
export interface Layer {
  readonly wanted: Map<string, FileToLay>;
  /** Copies that no newer head may overwrite now. */
  readonly left: Set<string>;
  add(mount: StoredMount, head: StoredFile): void;
  removeCopy(path: string): Promise<void>;
  lay(): Promise<void>;
}

export interface Capture {
  readonly dependencies: CaptureDependencies;
  readonly workspace: Workspace;
  readonly baseline: Baseline;
  readonly layer: Layer;
  readonly lines: string[];
  readonly toolUseId: string | null;
}

/** Commits what a command changed in one mount, and puts back what it may not change. */
export async function capture(capturing: Capture, mount: StoredMount, entries: readonly TreeEntry[]): Promise<void> {
  const { dependencies, workspace, baseline, lines, layer } = capturing;
  const inspecting = { session: workspace.session, baseline, mount, lines };
  const inspection = await (mount.access === "read_only" ? inspectReadOnly : inspectWritable)(inspecting, entries);
  for (const path of inspection.left) layer.left.add(path);
  const relay = [...inspection.relay];
  const known = filesBelow(baseline, mount).size;
  const held = holdsDeletions(inspection.gone.length, known);
  if (held) {
    lines.push(explain.held(inspection.gone.length, mount.prefix));
    relay.push(...inspection.gone);
  }
  await commitChanges(capturing, mount, { ...inspection, gone: held ? [] : inspection.gone });
  if (relay.length === 0) return;
  const heads = await dependencies.files.manifest(dependencies.organizationId, mount);
  const wanted = new Set(relay);
  for (const head of heads) if (wanted.has(head.path)) layer.add(mount, head);
}

type Deletion = MountChanges["deleted"][number];

/** Deletions come first: what takes their place may need it. */
async function commitChanges(capturing: Capture, mount: StoredMount, inspection: Inspection): Promise<void> {
  const { baseline } = capturing;
  const deleted = inspection.gone.flatMap((path) => {
    const base = baseline.files.get(path);
    return base === undefined ? [] : [{ path, base }];
  });
  if (deleted.length + inspection.changed.length <= portionFiles) {
    await commitPortion(capturing, mount, inspection.changed, deleted);
    return;
  }
  for (const portion of portions(deleted)) await commitPortion(capturing, mount, [], portion);
  for (const portion of portions(inspection.changed)) await commitPortion(capturing, mount, portion, []);
}

function portions<Item>(items: readonly Item[]): Item[][] {
  const count = Math.ceil(items.length / portionFiles);
  return Array.from({ length: count }, (_, index) => items.slice(index * portionFiles, (index + 1) * portionFiles));
}

/** All together; where one of them cannot be stored, the others without it. */
async function commitPortion(
  capturing: Capture,
  mount: StoredMount,
  changed: readonly ChangedCopy[],
  deleted: readonly Deletion[],
): Promise<void> {
  const { organizationId, sessionId, userId = null, files } = capturing.dependencies;
  const paths = [...changed, ...deleted].map((change) => change.path);
  if (paths.length === 0) return;
  const actor = { organizationId, sessionId, toolUseId: capturing.toolUseId, via: "bash" as const, userId };
  try {
    const { result, versions } = await files.commit({ mount, actor, paths }, (view) =>
      settleChanges(view, { mount, actor, changed, deleted }),
    );
    // Whoever deleted it: the copy is gone, and a later version is laid again.
    for (const { path } of deleted) capturing.baseline.files.delete(path);
    for (const verdict of result) await carryOut(capturing, mount, verdict, { changed, versions });
    // What a command created alone, its session knows; of what was there before or was merged it may have seen nothing.
    const made = new Set(changed.flatMap(({ path, base }) => (base === null ? [path] : [])));
    const saved = result.filter((verdict) => verdict.type === "saved" && made.has(verdict.path));
    const known = new Map(saved.map(({ path }) => [path, versions.get(path) ?? 0]));
    await files.markKnown(organizationId, sessionId, mount, known);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const [only] = paths;
    if (paths.length === 1 && only !== undefined) {
      capturing.layer.left.add(only);
      tellOnce(capturing, { path: only, fingerprint: changed[0]?.fingerprint ?? "" }, error.message);
      return;
    }
    const whole = deleted.length > 0 && changed.length > 0;
    // First what is deleted, then halves, and halves of those, until the one that cannot be stored is alone.
    const half = Math.ceil(paths.length / 2);
    await commitPortion(
      capturing,
      mount,
      whole ? [] : changed.slice(0, half),
      whole ? deleted : deleted.slice(0, half),
    );
    await commitPortion(capturing, mount, whole ? changed : changed.slice(half), whole ? [] : deleted.slice(half));
  }
}

interface Outcome {
  readonly changed: readonly ChangedCopy[];
  readonly versions: ReadonlyMap<string, number>;
}

async function carryOut(
  capturing: Capture,
  mount: StoredMount,
  verdict: Verdict,
  { changed, versions }: Outcome,
): Promise<void> {
  const { baseline, lines, layer, dependencies } = capturing;
  const { path } = verdict;
  const copy = changed.find((candidate) => candidate.path === path);
  const version = versions.get(path) ?? 0;
  const base = copy?.base?.version ?? null;
  switch (verdict.type) {
    case "saved":
      if (copy === undefined) return;
      baseline.files.set(path, {
        version,
        sha256: copy.sha256,
        executable: copy.executable,
        fingerprint: copy.fingerprint,
      });
      lines.push(verdict.hadVanished ? explain.restored(path, version) : explain.saved(path, base, version));
      if (base !== null) await dependencies.files.moveKnown(dependencies.sessionId, mount, path, base, version);
      return;
    case "equal":
      if (copy !== undefined) baseline.files.set(path, { ...verdict.head, fingerprint: copy.fingerprint });
      return;
    case "merged":
      baseline.files.delete(path);
      if (verdict.told) lines.push(explain.merged(path, base, version));
      return;
    case "conflict":
      layer.add(mount, verdict.head);
      lines.push(explain.conflict(path, base, verdict.head, await keepCopy(capturing, path, verdict.bytes)));
      return;
    case "deleted":
      lines.push(explain.deleted(path));
      return;
    case "kept":
      layer.add(mount, verdict.head);
      lines.push(explain.keptAgainstDeletion(path, verdict.head));
      return;
  }
}

/** The loser's text beside the work. Null when the workspace takes no file: the history has it in any case. */
async function keepCopy({ workspace, toolUseId }: Capture, path: string, content: Uint8Array): Promise<string | null> {
  const directory = `${workspaceDirectory}/.conflicts`;
  const copy = `${directory}/${toolUseId ?? "background"}/${relativePath("/memory", path)}`;
  try {
    await workspace.session.writeBinaryFile({ path: `${directory}/.gitignore`, content: encodeText("*\n") });
    await workspace.session.writeBinaryFile({ path: copy, content });
    return copy;
  } catch {
    return null;
  }
}
