/**
 * The history of stored files, for whoever may see it: what happened, what was there, what differs, and taking changes
 * back. Every path is a visible one (prefix of the mount and stored path). Who may do what is decided by the caller.
 * @module
 */
import type { Kysely } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { readArchive } from "../../archive-reader.ts";
import type { StoredMount } from "../../mounts.ts";
import type { FileActor } from "../../store.ts";
import { filesAtRevision, type PastFile } from "../rows.ts";
import { type Differences, diffRevisions, diffVersions } from "./differences.ts";
import { exportArchive, importFiles, type ImportRequest } from "./exchange.ts";
import { type ConflictFilter, type FileConflict, listConflicts, readConflict, resolveConflict } from "./kept-texts.ts";
import { type RedactRequest, redactVersion } from "./redact.ts";
import { type Restored, restoreFiles, type RestoreRequest } from "./restore.ts";
import { mountsChangedBy, type Undone, undoSession, type UndoRequest } from "./undo.ts";
import {
  type FileVersion,
  findVersion,
  listVersions,
  type Page,
  type PointInTime,
  readVersion,
  revisionAt,
  type VersionFilter,
  type VersionPage,
} from "./versions.ts";

export interface FileHistory {
  /** Newest first, in pages. @throws FileError `failed` for a cursor of no page */
  list(organizationId: string, mount: StoredMount, filter: VersionFilter, page: Page): Promise<VersionPage>;
  /** @throws FileError `not_found` */
  find(organizationId: string, mount: StoredMount, versionId: string): Promise<FileVersion>;
  /**
   * With its content: null for a directory, for an end, and where it was redacted.
   * @throws FileError `not_found`
   */
  read(
    organizationId: string,
    mount: StoredMount,
    versionId: string,
  ): Promise<{ readonly version: FileVersion; readonly bytes: Uint8Array | null }>;
  /** The last revision that had been made by then. */
  revisionAt(organizationId: string, mount: StoredMount, point: PointInTime): Promise<number>;
  /** The mount as it was, in path order; contents by `StoredFiles.contents`. */
  at(
    organizationId: string,
    mount: StoredMount,
    point: PointInTime,
  ): Promise<{ readonly revision: number; readonly files: readonly PastFile[] }>;
  /** A unified diff, from nothing where `fromId` is null; empty when both are equal. @throws FileError `not_found`, `failed`, `too_large` */
  diffVersions(organizationId: string, mount: StoredMount, fromId: string | null, toId: string): Promise<string>;
  /** Unified diffs of all that differs at or below `path`, or in the whole mount; bounded. */
  diffRevisions(
    organizationId: string,
    mount: StoredMount,
    points: { readonly from: PointInTime; readonly to: PointInTime },
    path?: string,
  ): Promise<Differences>;
  /**
   * A file, a directory or the mount as it was, in one new commit.
   * @throws FileError `not_found`, `failed` where a content was redacted; those of a commit
   */
  restore(request: RestoreRequest): Promise<Restored>;
  /** Takes back all that a session, or one of its calls, changed in a mount, and tells what could not be. */
  undo(request: UndoRequest): Promise<Undone>;
  /** Keys of the mounts in which one of some sessions has changed anything. */
  mountsChangedBy(organizationId: string, sessionIds: readonly string[]): Promise<readonly string[]>;
  /**
   * The content of a version goes for good, its row stays.
   * @throws FileError `not_found`; `conflict` for the version that is the file now
   */
  redact(request: RedactRequest): Promise<FileVersion>;
  /** Texts that lost a race, newest first. */
  conflicts(
    organizationId: string,
    mount: StoredMount,
    filter: ConflictFilter,
    page: { readonly limit: number; readonly cursor?: string },
  ): Promise<{ readonly conflicts: readonly FileConflict[]; readonly next: string | null }>;
  /** @throws FileError `not_found` */
  readConflict(
    organizationId: string,
    mount: StoredMount,
    id: string,
  ): Promise<{ readonly conflict: FileConflict; readonly bytes: Uint8Array | null }>;
  /** `head`: what is there stays. `kept`: the text that lost becomes a new version. @throws FileError */
  resolveConflict(
    mount: StoredMount,
    id: string,
    keep: "head" | "kept",
    actor: FileActor,
  ): Promise<{ readonly revision: number }>;
  /** A tar archive, piece by piece, with names relative to the mount. What was redacted is left out. */
  exportArchive(
    organizationId: string,
    mount: StoredMount,
    options?: { readonly path?: string; readonly at?: PointInTime },
  ): AsyncGenerator<Uint8Array>;
  /** Many files in one commit. @throws FileError naming the file and the rule; then nothing was stored */
  importFiles(request: ImportRequest): Promise<{ readonly revision: number; readonly removed: number }>;
  /** The same from a tar archive. @throws FileError */
  importArchive(
    request: Omit<ImportRequest, "files"> & { readonly archive: Uint8Array },
  ): Promise<{ readonly revision: number; readonly removed: number }>;
}

/** @example const undone = await files.history.undo({ mount, actor, sessionId, dryRun: true }) */
export function createFileHistory(database: Kysely<Tables>): FileHistory {
  return {
    list: (organizationId, mount, filter, page) => listVersions(database, organizationId, mount, filter, page),
    find: (organizationId, mount, versionId) => findVersion(database, organizationId, mount, versionId),
    read: (organizationId, mount, versionId) => readVersion(database, organizationId, mount, versionId),
    revisionAt: (organizationId, mount, point) => revisionAt(database, organizationId, mount, point),
    async at(organizationId, mount, point) {
      const revision = await revisionAt(database, organizationId, mount, point);
      const files = await filesAtRevision(database, organizationId, mount, revision);
      return { revision, files: files.filter((file) => file.kind !== "absent") };
    },
    diffVersions: (organizationId, mount, fromId, toId) => diffVersions(database, organizationId, mount, fromId, toId),
    diffRevisions: (organizationId, mount, points, path) =>
      diffRevisions(database, organizationId, mount, points, path),
    restore: (request) => restoreFiles(database, request),
    undo: (request) => undoSession(database, request),
    mountsChangedBy: (organizationId, sessionIds) => mountsChangedBy(database, organizationId, sessionIds),
    redact: (request) => redactVersion(database, request),
    conflicts: (organizationId, mount, filter, page) => listConflicts(database, organizationId, mount, filter, page),
    readConflict: (organizationId, mount, id) => readConflict(database, organizationId, mount, id),
    resolveConflict: (mount, id, keep, actor) => resolveConflict(database, mount, id, keep, actor),
    exportArchive: (organizationId, mount, options) => exportArchive(database, organizationId, mount, options),
    importFiles: (request) => importFiles(database, request),
    importArchive: ({ archive, ...request }) => importFiles(database, { ...request, files: readArchive(archive) }),
  };
}
