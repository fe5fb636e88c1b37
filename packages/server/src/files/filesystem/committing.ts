/** Changing stored files over the API. @module */
import type { CommitFilesRequest, FileChange as RequestedChange, FileCommit } from "@exoloop/protocol/filesystem";
import type { Principal } from "../../orgs/principal.ts";
import { Problem } from "../../errors.ts";
import type { StoredMount } from "../mounts.ts";
import { parentPath } from "../path.ts";
import type { FileChange } from "../postgres/change.ts";
import { findEntries } from "../postgres/listing.ts";
import { FileError } from "../store.ts";
import { encodeText } from "../text.ts";
import { placeInMount, principalMounts } from "./principal-mounts.ts";
import type { FilesystemParts } from "./reading.ts";

/** What a commit would do, its paths checked. */
interface PlacedCommit {
  readonly mount: StoredMount;
  readonly changes: readonly RequestedChange[];
}

/**
 * All changes or none.
 * @throws FileError the first rule that is broken, with the file that breaks it
 */
export async function commitRequest(
  parts: FilesystemParts,
  principal: Principal,
  request: CommitFilesRequest,
): Promise<FileCommit> {
  const { organizationId } = principal;
  const { mount, changes } = placeChanges(await principalMounts(parts.database, principal), request.changes);
  if (mount.access === "read_only")
    throw new FileError("read_only", `${mount.prefix} is read-only for this key, so nothing was changed.`);
  const actor = {
    organizationId,
    sessionId: null,
    toolUseId: null,
    via: "api" as const,
    userId: principal.userId ?? null,
  };
  const paths = changes.flatMap((change) => (change.type === "move" ? [change.path, change.to] : [change.path]));
  const trees = await expandTrees(parts, organizationId, mount, changes);
  const { revision, versions } = await parts.files.commit({ mount, actor, paths }, (view) => ({
    changes: changes.flatMap((change, index): readonly FileChange[] => {
      const there = view.heads.get(change.path);
      if (there === undefined && !view.directories.has(change.path)) refuseMissing(change);
      return trees.get(index) ?? [changeOf(change, there?.executable ?? false)];
    }),
    result: null,
  }));
  const files = [...versions].map(([path, version]) => ({ path, version }));
  return { type: "file_commit", mount: mount.prefix, revision, files };
}

function refuseMissing({ type, path }: RequestedChange): void {
  if (type === "delete" || type === "move")
    throw new FileError("not_found", `${path} does not exist. Nothing was changed.`);
}

function placeChanges(mounts: readonly StoredMount[], changes: readonly RequestedChange[]): PlacedCommit {
  let mount: StoredMount | undefined;
  const inMount = (wanted: string): string => {
    const placed = placeInMount(mounts, wanted);
    mount ??= placed.mount;
    if (placed.mount.key === mount.key) return placed.path;
    throw new Problem(
      "invalid_request",
      `${placed.path} lies in ${placed.mount.prefix}, the changes before it in ${mount.prefix}. Nothing was changed.`,
      "One commit is atomic within one mount: send one for each.",
    );
  };
  const placed = changes.map((change): RequestedChange => {
    const path = inMount(change.path);
    if (change.type === "move") refuseMoveAcross(placeInMount(mounts, change.path), placeInMount(mounts, change.to));
    return change.type === "move" ? { ...change, path, to: inMount(change.to) } : { ...change, path };
  });
  if (mount === undefined) throw new Problem("invalid_request", "changes: must not be empty.");
  return { mount, changes: placed };
}

function refuseMoveAcross(from: ReturnType<typeof placeInMount>, to: ReturnType<typeof placeInMount>): void {
  if (from.mount.key === to.mount.key) return;
  throw new Problem(
    "invalid_request",
    `${from.path} cannot be moved to ${to.path}: a file moves within ${from.mount.prefix} only. Nothing was changed.`,
    "Write it there, then delete it here.",
  );
}

function changeOf(change: RequestedChange, executable: boolean): FileChange {
  const { path } = change;
  switch (change.type) {
    case "make_directory":
      return { type: "make_directory", path };
    case "move":
      return { type: "move", path, to: change.to };
    case "delete":
      return {
        type: "delete",
        path,
        ...(change.expected_version === undefined ? {} : { expectedVersion: change.expected_version }),
      };
    case "put":
      return {
        type: "put",
        path,
        bytes: contentOf(change),
        executable: change.executable ?? executable,
        operation: "write",
        ...(change.expected_version === undefined ? {} : { expectedVersion: change.expected_version }),
      };
  }
}

function contentOf({ path, content, encoding }: Extract<RequestedChange, { type: "put" }>): Uint8Array {
  if (encoding !== "base64") return encodeText(content);
  const bytes = Buffer.from(content, "base64");
  // Node skips what is not base64: only what comes out the same was.
  if (bytes.toString("base64").replace(/=+$/, "") === content.replace(/=+$/, "")) return bytes;
  throw new Problem("invalid_request", `The content of ${path} is not base64. Nothing was changed.`);
}

/** For each change that deletes a directory: the changes that do. */
async function expandTrees(
  { database, files }: FilesystemParts,
  organizationId: string,
  mount: StoredMount,
  changes: readonly RequestedChange[],
): Promise<ReadonlyMap<number, readonly FileChange[]>> {
  const expanded = new Map<number, readonly FileChange[]>();
  const deleted = changes.flatMap((change, index) => (change.type === "delete" ? [{ ...change, index }] : []));
  if (deleted.length === 0) return expanded;
  const entries = await findEntries(
    database,
    organizationId,
    mount,
    deleted.map(({ path }) => path),
  );
  const trees = deleted.filter(({ path }) => entries.get(path)?.kind === "directory");
  if (trees.length === 0) return expanded;
  const [heads, directories] = [
    await files.manifest(organizationId, mount),
    await files.directories(organizationId, mount),
  ];
  for (const { path, recursive } of trees)
    if (recursive !== true)
      throw new FileError(
        "is_directory",
        `${path} is a directory: say that all of it is to be deleted (recursive: true, or --recursive).`,
      );
  const below = byTree(
    trees.map(({ path }) => path),
    [
      ...heads.map(({ path, version }) => ({ type: "delete" as const, path, expectedVersion: version })),
      ...directories.map(({ path }) => ({ type: "remove_directory" as const, path })),
    ],
  );
  for (const { index, path } of trees) expanded.set(index, below.get(path) ?? []);
  return expanded;
}

/** For each directory the changes at it and below it. However many directories there are, each path is taken up once. */
function byTree<Change extends { readonly path: string }>(
  trees: readonly string[],
  changes: readonly Change[],
): ReadonlyMap<string, readonly Change[]> {
  const found = new Map<string, Change[]>(trees.map((path) => [path, []]));
  for (const change of changes) for (let at = change.path; at !== "/"; at = parentPath(at)) found.get(at)?.push(change);
  return found;
}
