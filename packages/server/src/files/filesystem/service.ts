/** Stored files as callers of the API see them. @module */
import type { FilesystemPort } from "../../http/routes/filesystem.ts";
import { commitRequest } from "./committing.ts";
import { withProblems } from "./file-problem.ts";
import { readFile } from "./content.ts";
import { exportArchive, type FilesystemParts, findFiles, listDirectory, searchFiles, statFile } from "./reading.ts";

/** @example createFilesystem({ database, files }).list(principal, "/memory/org", { limit: 100 }) */
export function createFilesystem(parts: FilesystemParts): FilesystemPort {
  return {
    stat: (principal, path) => withProblems(() => statFile(parts, principal, path)),
    list: (principal, path, query) => withProblems(() => listDirectory(parts, principal, path, query)),
    find: (principal, path, glob, maximum) => withProblems(() => findFiles(parts, principal, path, glob, maximum)),
    search: (principal, search) => withProblems(() => searchFiles(parts, principal, search)),
    export: (principal, path) => withProblems(() => exportArchive(parts, principal, path)),
    commit: (principal, request) => withProblems(() => commitRequest(parts, principal, request)),
    read: (principal, path, moment) => withProblems(() => readFile(parts, principal, path, moment)),
  };
}
