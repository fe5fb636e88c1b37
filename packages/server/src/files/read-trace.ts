/** Whether a tool call was given something that nobody vouches for: it spreads to the session, and to what it writes. @module */
import type { BatchOperations, DirectoryOperations, FileStore } from "./store.ts";

export interface ReadTrace {
  /** True from the first such reading on. */
  untrusted: boolean;
}

/**
 * A store that notes readings of marked files, their names and those of directories in lists included: a name is text
 * of its writer's, too. What edits a marked file is noted before it does.
 * @param areMarked Whether any of these files is marked.
 * @example watchReads(files.open(owner, mount), (paths) => files.anyUntrusted(organizationId, mount, paths), trace)
 */
export function watchReads<Store extends FileStore & DirectoryOperations & BatchOperations>(
  store: Store,
  areMarked: (paths: readonly string[]) => Promise<boolean>,
  trace: ReadTrace,
): Store {
  const note = async (paths: readonly string[]) => {
    if (!trace.untrusted && paths.length > 0 && (await areMarked([...new Set(paths)]))) trace.untrusted = true;
  };
  return {
    ...store,
    async read(path) {
      const content = await store.read(path);
      await note([path]);
      return content;
    },
    async edit(path, change, actor) {
      await note([path]);
      return store.edit(path, change, actor);
    },
    async transform(paths, ...change) {
      await note(paths);
      return store.transform(paths, ...change);
    },
    async list(path, maximum) {
      const found = await store.list(path, maximum);
      await note(found.map((entry) => entry.path));
      return found;
    },
    async glob(path, pattern, maximum) {
      const found = await store.glob(path, pattern, maximum);
      await note(found.map((match) => match.path));
      return found;
    },
    async grep(request) {
      const result = await store.grep(request);
      await note([...result.lines, ...result.files].map((match) => match.path));
      return result;
    },
  };
}
