/**
 * A baseline for a worker that did not lay the copies, or was started again: derived from what is on the sandbox's disk,
 * the history of each path, and the revisions that were recorded before the last command.
 * @module
 */
import { mountOf, skillsMount, type StoredMount } from "../mounts.ts";
import type { ProjectionRecord } from "../postgres/projection-records.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import { sha256Of } from "../text.ts";
import { type Baseline, emptyBaseline, emptyCopies, type MountCopies } from "./baseline.ts";
import { isExecutable } from "./laid-file.ts";
import { type CopyEntry, inParts, type ProjectionTarget } from "./target.ts";

export interface RebuildRequest {
  readonly files: StoredFiles;
  readonly organizationId: string;
  readonly sessionId: string;
  readonly mounts: readonly StoredMount[];
  /** As written before the last command. */
  readonly record: ProjectionRecord;
  readonly target: ProjectionTarget;
  readonly entries: readonly CopyEntry[];
}

/**
 * A copy whose content is the recorded version, or any later one, was laid or saved as that version. Any other copy was
 * changed by a command that began from the recorded version. A mount that is recorded and not seen any more is left
 * out: its copies are to be removed.
 */
export async function rebuildBaseline(request: RebuildRequest): Promise<Baseline> {
  const baseline = emptyBaseline();
  const hashes = await hashCopies(request);
  for (const mount of request.mounts) {
    const revision = request.record.revisions.get(mount.key);
    if (revision === undefined || request.record.prefixes.get(mount.key) !== mount.prefix) continue;
    const inside = request.entries.filter((entry) => mountOf([mount], entry.path) !== undefined);
    const copies = await copiesAt(request, mount, revision);
    baseline.copies.set(mount.key, copies);
    if (mount.key === skillsMount.key) markEqual(copies, inside, hashes);
    else await findVersions(request, copies, inside, hashes);
  }
  return baseline;
}

async function copiesAt(
  { files, organizationId, sessionId }: RebuildRequest,
  mount: StoredMount,
  revision: number,
): Promise<MountCopies> {
  const copies = { ...emptyCopies(mount), revision };
  if (mount.key === skillsMount.key) {
    const set = await files.sessionSkills.at({ organizationId, sessionId }, revision);
    for (const { path, sha256, size, executable } of set.files.values())
      copies.files.set(path, { version: revision, sha256, size, executable, fingerprint: "" });
    return copies;
  }
  for (const { path, kind, version, sha256, executable } of await files.atRevision(organizationId, mount, revision)) {
    if (kind === "directory") copies.directories.add(path);
    else if (sha256 !== null) copies.files.set(path, { version, sha256, size: 0, executable, fingerprint: "" });
  }
  return copies;
}

type Hashes = ReadonlyMap<string, { readonly sha256: string; readonly fingerprint: string }>;

function markEqual(copies: MountCopies, entries: readonly CopyEntry[], hashes: Hashes): void {
  for (const entry of entries) {
    const [copy, laid] = [hashes.get(entry.path), copies.files.get(entry.path)];
    if (copy === undefined || laid === undefined || copy.sha256 !== laid.sha256) continue;
    if (isExecutable(entry) !== laid.executable) continue;
    copies.files.set(entry.path, { ...laid, fingerprint: copy.fingerprint });
  }
}

async function findVersions(
  { files, organizationId }: RebuildRequest,
  copies: MountCopies,
  entries: readonly CopyEntry[],
  hashes: Hashes,
): Promise<void> {
  const present = entries.flatMap((entry) => {
    const copy = hashes.get(entry.path);
    return copy === undefined ? [] : [{ entry, ...copy }];
  });
  const versions = await files.projections.versionsOfContents(
    organizationId,
    copies.mount,
    present.map(({ entry }) => entry.path),
    [...new Set(present.map(({ sha256 }) => sha256))],
  );
  const newest = new Map<string, number>();
  for (const { path, sha256, version } of versions) {
    const key = `${path}\0${sha256}`;
    newest.set(key, Math.max(version, newest.get(key) ?? 0));
  }
  for (const { entry, sha256, fingerprint } of present) {
    const { path, size } = entry;
    const version = newest.get(`${path}\0${sha256}`) ?? 0;
    if (version < Math.max(1, copies.files.get(path)?.version ?? 1)) continue;
    copies.files.set(path, { version, sha256, size, executable: isExecutable(entry), fingerprint });
  }
}

async function hashCopies({ target, entries, mounts }: RebuildRequest): Promise<Hashes> {
  const hashes = new Map<string, { readonly sha256: string; readonly fingerprint: string }>();
  const maximum = Math.max(0, ...mounts.map((mount) => Math.max(mount.maximumTextBytes, mount.maximumBinaryBytes)));
  const wanted = entries.filter(
    ({ kind, path, size }) => kind === "file" && size <= maximum && mountOf(mounts, path) !== undefined,
  );
  for (const part of inParts(wanted, ({ size }) => size)) {
    const fetched = await target.fetch(
      part.map(({ path }) => path),
      maximum,
    );
    for (const [index, { path, bytes, fingerprint }] of fetched.entries())
      if (bytes !== null && fingerprint === part[index]?.fingerprint)
        hashes.set(path, { sha256: sha256Of(bytes), fingerprint });
  }
  return hashes;
}
