/**
 * What is done to files, once by tools and once by a command, and what must be seen then by everybody. Paths are within
 * a directory of the case's own, which is empty at first.
 * @module
 */
import type { DirectoryOperations, FileActor, FileStore } from "../store.ts";
import { encodeText } from "../text.ts";

/** A file's text, and whether it can be executed; null: a directory. */
export type ExpectedTree = Readonly<Record<string, { readonly text: string; readonly executable?: true } | null>>;

/** A session's tools within the case's directory. */
export interface CaseTools {
  /** The whole file, as the write tool does: what is there has been read. */
  write(name: string, text: string): Promise<void>;
  edit(name: string, oldText: string, newText: string): Promise<void>;
  remove(name: string): Promise<void>;
  makeDirectory(name: string): Promise<void>;
  removeTree(name: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

export interface CoherenceCase {
  readonly id: string;
  /** What is there before, written by another session. */
  readonly given: ExpectedTree;
  /** Null: tools have no way to do it. */
  readonly tools: ((tools: CaseTools) => Promise<void>) | null;
  /** Run in the case's directory. */
  readonly bash: string;
  readonly expected: ExpectedTree;
}

/** @param directory The case's own, as the session sees it. */
export function caseTools(
  store: FileStore & DirectoryOperations,
  directory: string,
  actor: () => FileActor,
): CaseTools {
  const at = (name: string) => `${directory}/${name}`;
  return {
    async write(name, text) {
      // Whoever overwrites has read.
      if ((await store.stat(at(name))) !== null) await store.read(at(name));
      await store.write(at(name), encodeText(text), actor());
    },
    async edit(name, oldText, newText) {
      await store.edit(at(name), { oldText, newText, all: false }, actor());
    },
    remove: (name) => store.remove(at(name), actor()),
    makeDirectory: (name) => store.makeDirectory(at(name), actor()),
    async removeTree(name) {
      await store.removeTree(at(name), actor());
    },
    rename: (from, to) => store.rename(at(from), at(to), actor()),
  };
}
