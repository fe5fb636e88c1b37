/**
 * Files in Postgres, for a whole organization: opened as a store for one session, and asked for what changed by the
 * projection into sandboxes.
 * @module
 */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { isShared, mountOf, skillsMount, type StoredMount, visiblePath } from "../mounts.ts";
import type { SessionSkills } from "../session-skills.ts";
import type { DirectoryOperations, FileStore } from "../store.ts";
import { type CommitDecision, commitFiles, type CommitRequest, type Committed, type CommitView } from "./commit.ts";
import { anyUntrusted, describeProvenance, findProvenance, vouch, type VouchRequest } from "./provenance.ts";
import { changedPaths, createProjectionRecords, type ProjectionRecords } from "./projection-records.ts";
import {
  filesAtRevision,
  findEntries,
  listDirectories,
  listHeads,
  mountRevision,
  type PastFile,
  type PathKind,
  readContents,
  type StoredDirectory,
  type StoredFile,
} from "./rows.ts";
import { createSessionSkills } from "./skills/session-skills.ts";
import { createSessionStore } from "./session-store.ts";
import { markKnown } from "./known.ts";
import type { SkillFile } from "../../skills/format/skill-files.ts";
import { importSkill } from "./skills/import-skill.ts";
import { createFileHistory, type FileHistory } from "./history/file-history.ts";
import { createSkillStore } from "./skills/skill-store.ts";

/** A path that changed. `head` is null unless a file is there now. */
export interface StoredChange {
  readonly path: string;
  readonly kind: PathKind;
  readonly head: StoredFile | null;
}

export interface StoredFiles {
  /** The store as one session sees it. `sessionId` is null for the API. */
  open(
    owner: { readonly organizationId: string; readonly sessionId: string | null },
    mount: StoredMount,
  ): FileStore & DirectoryOperations;
  /** Grows by one with every commit of the mount; zero for a mount that nobody has written to. */
  revision(organizationId: string, mount: StoredMount): Promise<number>;
  /** Each path that changed after the revision, once, as it is now. */
  changesSince(organizationId: string, mount: StoredMount, revision: number): Promise<readonly StoredChange[]>;
  /** Every file of the mount, in path order. */
  manifest(organizationId: string, mount: StoredMount): Promise<readonly StoredFile[]>;
  /** Every directory of the mount, each before what lies in it. */
  directories(organizationId: string, mount: StoredMount): Promise<readonly StoredDirectory[]>;
  /** The mount as it was: the last version of each path up to the revision. */
  atRevision(organizationId: string, mount: StoredMount, revision: number): Promise<readonly PastFile[]>;
  /** Contents by hash. The caller bounds their number and size. */
  contents(organizationId: string, hashes: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>>;
  commit<Result>(
    request: CommitRequest,
    decide: (view: CommitView) => Promise<CommitDecision<Result>> | CommitDecision<Result>,
  ): Promise<Committed<Result>>;
  /** The session has these versions before its eyes: it may overwrite them. */
  markKnown(
    organizationId: string,
    sessionId: string,
    mount: StoredMount,
    versions: ReadonlyMap<string, number>,
  ): Promise<void>;
  /** What happened to them, and taking it back. */
  readonly history: FileHistory;
  /** Whether any of these paths is a file that its writer had no reason to trust. */
  anyUntrusted(organizationId: string, mount: StoredMount, paths: readonly string[]): Promise<boolean>;
  /** Who wrote a file that several people write, in one line; null for any other path. */
  describeOrigin(organizationId: string, mounts: readonly StoredMount[], path: string): Promise<string | null>;
  /** As `provenance.ts` says. @throws FileError `not_found`, `conflict` */
  vouch(request: VouchRequest): Promise<number>;
  /** Which revisions a session's sandbox holds. */
  readonly projections: ProjectionRecords;
  /** What `/skills` holds for one session. */
  readonly sessionSkills: SessionSkills;
  /**
   * Makes `/skills/<name>` hold exactly these files, in one commit; the same files again change nothing.
   * @throws FileError `invalid_skill`, `too_large`, `path_conflict`
   */
  importSkill(
    organizationId: string,
    name: string,
    files: readonly SkillFile[],
  ): Promise<{ readonly revision: number }>;
}

/** @example const files = createStoredFiles(database); await files.importSkill(organizationId, "review", [...]) */
export function createStoredFiles(database: Kysely<Tables>): StoredFiles {
  const sessionSkills = createSessionSkills(database);
  return {
    open({ organizationId, sessionId }, mount) {
      const store = createSessionStore(database, { organizationId, sessionId }, mount);
      if (mount.key !== skillsMount.key || sessionId === null) return store;
      const viewer = { organizationId, sessionId };
      const looks = createSkillStore({
        set: async () => sessionSkills.at(viewer, await sessionSkills.pinned(viewer)),
        contents: (hashes) => readContents(database, organizationId, hashes),
      });
      return { ...store, ...looks };
    },
    revision: (organizationId, mount) => mountRevision(database, organizationId, mount),
    changesSince: (organizationId, mount, revision) => changesSince(database, organizationId, mount, revision),
    manifest: (organizationId, mount) => listHeads(database, organizationId, mount),
    directories: (organizationId, mount) => listDirectories(database, organizationId, mount),
    atRevision: (organizationId, mount, revision) => filesAtRevision(database, organizationId, mount, revision),
    contents: (organizationId, hashes) => readContents(database, organizationId, hashes),
    anyUntrusted: (organizationId, mount, paths) => anyUntrusted(database, organizationId, mount, paths),
    async describeOrigin(organizationId, mounts, path) {
      const mount = mountOf(mounts, path);
      if (mount === undefined || !isShared(mount)) return null;
      const found = await findProvenance(database, organizationId, mount, path);
      return found === null ? null : describeProvenance(found);
    },
    vouch: (request) => vouch(database, request),
    commit: (request, decide) => commitFiles(database, request, decide),
    markKnown: (organizationId, sessionId, mount, versions) =>
      markKnown(database, { organizationId, sessionId }, mount, versions),
    history: createFileHistory(database),
    projections: createProjectionRecords(database),
    sessionSkills,
    async importSkill(organizationId, name, files) {
      const actor = { organizationId, sessionId: null, toolUseId: null, via: "import" as const };
      const { revision } = await importSkill(database, { actor, files, directory: name });
      return { revision };
    },
  };
}

async function changesSince(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  revision: number,
): Promise<readonly StoredChange[]> {
  const { rows } = await changedPaths(organizationId, mount, revision).execute(database);
  const paths = rows.map((row) => visiblePath(mount, row.path));
  const { files, directories } = await findEntries(database, organizationId, mount, paths);
  return paths.map((path) => {
    const head = files.get(path) ?? null;
    return { path, kind: head !== null ? "file" : directories.has(path) ? "directory" : "absent", head };
  });
}
