/**
 * Deciding what becomes of changed copies, under the mount's lock: so no other change comes in between, and one attempt
 * is enough.
 * @module
 */
import { mergeTexts } from "../merge.ts";
import { isWithin } from "../path.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";
import type { FileChange } from "../postgres/change.ts";
import type { CommitDecision, CommitView } from "../postgres/commit.ts";
import type { LostText } from "../postgres/conflicts.ts";
import type { StoredFile } from "../postgres/rows.ts";
import { decodeText, encodeText } from "../text.ts";
import type { FileActor } from "../store.ts";
import type { LaidFile } from "./laid-file.ts";

/** A copy whose content or mode differs from what was laid. Its text has been checked against the mount's limits. */
export interface ChangedCopy {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly executable: boolean;
  readonly fingerprint: string;
  /** What it was made from; null when the command created it. */
  readonly base: LaidFile | null;
}

export type Verdict =
  /** The copy is the head now, or will be when `version` is known. */
  | { readonly type: "saved"; readonly path: string; readonly hadVanished: boolean }
  /** Nothing to tell: the head has this content already. */
  | { readonly type: "equal"; readonly path: string; readonly head: StoredFile }
  /** The head holds more than the copy: it is to be laid. `again`: it was told before. */
  | { readonly type: "merged"; readonly path: string; readonly head: StoredFile; readonly again: boolean }
  | { readonly type: "conflict"; readonly path: string; readonly head: StoredFile; readonly bytes: Uint8Array }
  | { readonly type: "made"; readonly path: string }
  | { readonly type: "deleted"; readonly path: string }
  | { readonly type: "kept"; readonly path: string; readonly head: StoredFile };

export interface MountChanges {
  readonly mount: StoredMount;
  readonly actor: FileActor;
  readonly changed: readonly ChangedCopy[];
  readonly deleted: readonly { readonly path: string; readonly base: LaidFile }[];
  readonly newDirectories: readonly string[];
  /** With all that was in them. One that holds something by now, from somebody else, stays. */
  readonly goneDirectories: readonly string[];
}

/** Called with the mount locked. */
export async function settleChanges(
  view: CommitView,
  settling: MountChanges,
): Promise<CommitDecision<readonly Verdict[]>> {
  const { mount, actor, changed, deleted } = settling;
  const changes: FileChange[] = [];
  const lost: LostText[] = [];
  const verdicts: Verdict[] = [];
  const mergedBefore = await findMerged(
    view,
    mount,
    actor,
    changed.map((copy) => copy.path),
  );
  for (const copy of changed) {
    const head = view.heads.get(copy.path);
    const put = { type: "put" as const, path: copy.path, bytes: copy.bytes, executable: copy.executable };
    if (head === undefined || head.version === copy.base?.version) {
      changes.push({ ...put, operation: "write" });
      verdicts.push({ type: "saved", path: copy.path, hadVanished: head === undefined && copy.base !== null });
    } else if (head.sha256 === copy.sha256 && head.executable === copy.executable) {
      verdicts.push({ type: "equal", path: copy.path, head });
    } else if (mergedBefore.has(`${copy.path}\0${copy.sha256}`)) {
      verdicts.push({ type: "merged", path: copy.path, head, again: true });
    } else {
      const merged = await mergeWithHead(view, mount, copy, head);
      if (merged === null) {
        lost.push({
          path: copy.path,
          bytes: copy.bytes,
          baseVersion: copy.base?.version ?? null,
          headVersion: head.version,
        });
        verdicts.push({ type: "conflict", path: copy.path, head, bytes: copy.bytes });
      } else {
        changes.push({ ...put, ...merged, operation: "merge", sourceSha256: copy.sha256 });
        verdicts.push({ type: "merged", path: copy.path, head, again: false });
      }
    }
  }
  for (const { path, base } of deleted) {
    const head = view.heads.get(path);
    if (head === undefined) continue;
    if (head.version === base.version) changes.push({ type: "delete", path });
    verdicts.push(head.version === base.version ? { type: "deleted", path } : { type: "kept", path, head });
  }
  settleDirectories(view, settling, changes, verdicts);
  return { changes, lost, options: { known: "follow" }, result: verdicts };
}

function settleDirectories(
  view: CommitView,
  { changed, deleted, newDirectories, goneDirectories }: MountChanges,
  changes: FileChange[],
  verdicts: Verdict[],
): void {
  for (const path of newDirectories) {
    if (view.directories.has(path)) continue;
    changes.push({ type: "make_directory", path });
    // Where a file goes into it, that says enough.
    const told =
      !changed.some((copy) => isWithin(path, copy.path)) && !newDirectories.some((other) => isBelow(path, other));
    if (told) verdicts.push({ type: "made", path });
  }
  for (const path of goneDirectories) {
    if (!view.directories.has(path)) continue;
    changes.push({ type: "remove_directory", path, ifEmpty: true });
    const told =
      !deleted.some((copy) => isWithin(path, copy.path)) && !goneDirectories.some((other) => isBelow(other, path));
    if (told) verdicts.push({ type: "deleted", path });
  }
}

/** Whether `path` lies in the directory, and is another one. */
function isBelow(directory: string, path: string): boolean {
  return directory !== path && isWithin(directory, path);
}

/**
 * What this session merged before: after a crash between the commit and its report the copy on disk is still the
 * unmerged one, and merging it again would add it twice.
 */
async function findMerged(
  view: CommitView,
  mount: StoredMount,
  actor: FileActor,
  paths: readonly string[],
): Promise<ReadonlySet<string>> {
  if (paths.length === 0 || actor.sessionId === null) return new Set();
  const rows = await view.transaction
    .selectFrom("file_versions")
    .select(["path", "source_sha256"])
    .where("organization_id", "=", actor.organizationId)
    .where("session_id", "=", actor.sessionId)
    .where("mount", "=", mount.key)
    .where(
      "path",
      "in",
      paths.map((path) => pathInMount(mount, path)),
    )
    .where("source_sha256", "is not", null)
    .execute();
  return new Set(rows.map((row) => `${visiblePath(mount, row.path)}\0${row.source_sha256}`));
}

async function mergeWithHead(view: CommitView, mount: StoredMount, copy: ChangedCopy, head: StoredFile) {
  const hashes = [head.sha256, ...(copy.base === null ? [] : [copy.base.sha256])];
  const contents = await view.contents(hashes);
  const text = (sha256: string): string | null => {
    const bytes = contents.get(sha256);
    return bytes === undefined ? null : decodeText(bytes);
  };
  const [ours, theirs] = [decodeText(copy.bytes), text(head.sha256)];
  if (ours === null || theirs === null) return null;
  const outcome = mergeTexts(copy.base === null ? null : text(copy.base.sha256), ours, theirs);
  if (outcome.type === "conflict") return null;
  const bytes = encodeText(outcome.text);
  if (bytes.length > mount.maximumTextBytes) return null;
  const modeChanged = copy.base !== null && copy.base.executable !== copy.executable;
  return { bytes, executable: modeChanged ? copy.executable : head.executable };
}
