/** Several stored files in one commit. @module */
import type { StoredMount } from "../mounts.ts";
import { mountOf } from "../mounts.ts";
import { storedPath } from "../path.ts";
import type { FileChange } from "../postgres/change.ts";
import type { CommitView } from "../postgres/commit.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import { type BatchOperations, FileError, type FileTransformation } from "../store.ts";
import { refuseLargeBatch } from "./batch-size.ts";

/** What was there under the lock is what the change is computed from: nothing of anyone is lost. */
export function createStoredBatch(files: StoredFiles, mount: StoredMount): BatchOperations {
  return {
    async transform(paths, change, actor, movedFrom = new Map()) {
      const keys = new Map(paths.map((path) => [keyOf(mount, path), path]));
      const { result: added, versions } = await files.commit({ mount, actor, paths: [...keys.keys()] }, (view) =>
        decide(view, keys, change, movedFrom),
      );
      if (actor.sessionId === null) return;
      const known = [...versions].filter(([path]) => added.has(path));
      await files.markKnown(actor.organizationId, actor.sessionId, mount, new Map(known));
    },
  };
}

/** Tells which files are new: of those the session knows all. */
async function decide(
  view: CommitView,
  keys: ReadonlyMap<string, string>,
  change: FileTransformation,
  movedFrom: ReadonlyMap<string, string>,
) {
  const after = change(await contentsOf(view, keys));
  const keyByPath = new Map([...keys].map(([key, path]) => [path, key]));
  const movedAway = new Set(movedFrom.values());
  const changes: FileChange[] = [];
  const added = new Set<string>();
  for (const [key, path] of keys) {
    const bytes = after.get(path);
    const head = view.heads.get(key);
    if (bytes === undefined) continue;
    if (bytes === null) {
      if (head !== undefined && !movedAway.has(path)) changes.push({ type: "delete", path: key });
      continue;
    }
    const source = keyByPath.get(movedFrom.get(path) ?? "");
    if (source !== undefined) changes.push({ type: "move", path: source, to: key });
    changes.push({ type: "put", path: key, bytes, executable: null, operation: "write" });
    if (head === undefined && source === undefined) added.add(key);
  }
  // Of what was there the session knows the new version only if it knew the old one: it has not seen the rest.
  return { changes, options: { known: "follow" as const }, result: added };
}

async function contentsOf(view: CommitView, keys: ReadonlyMap<string, string>): Promise<Map<string, Uint8Array>> {
  refuseLargeBatch([...view.heads.values()].reduce((sum, head) => sum + head.size, 0));
  const contents = await view.contents([...view.heads.values()].map((head) => head.sha256));
  const found = new Map<string, Uint8Array>();
  for (const [key, path] of keys) {
    const head = view.heads.get(key);
    if (head === undefined) continue;
    const bytes = contents.get(head.sha256);
    if (bytes === undefined) throw new Error(`the content of ${key} version ${head.version} is missing`);
    found.set(path, bytes);
  }
  return found;
}

function keyOf(mount: StoredMount, path: string): string {
  const stored = storedPath(path, mount.prefix);
  if (mountOf([mount], stored) !== undefined) return stored;
  throw new FileError("is_directory", `${mount.prefix} is a directory.`);
}
