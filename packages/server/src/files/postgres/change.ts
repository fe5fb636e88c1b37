/** What a commit writes. Paths are visible ones, normalised (files/path.ts). @module */

interface Expectation {
  /**
   * The version that the path must have; null: nothing may be there. Compared with what was there before the whole
   * commit. Absent: whatever is there.
   */
  readonly expectedVersion?: number | null;
}

/** A file's whole content. Its directories are made. */
export interface PutChange extends Expectation {
  readonly type: "put";
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Null: as the file is. */
  readonly executable: boolean | null;
  readonly operation: "write" | "edit" | "merge";
  readonly replacements?: number;
  /**
   * For a file that comes back where nothing is: the identifier that it had, which it gets unless another file has it
   * now. What is at the path already is a `path_conflict`.
   */
  readonly memoryId?: string;
  /** Of a merge: hash of what this session wrote. */
  readonly sourceSha256?: string;
}

/** The end of a file; its directory stays. Nothing where no file is. */
export interface DeleteChange extends Expectation {
  readonly type: "delete";
  readonly path: string;
}

/** With the directories above it. Nothing where it exists. */
export interface MakeDirectoryChange extends Expectation {
  readonly type: "make_directory";
  readonly path: string;
}

/** Of a directory that is empty by then. Nothing where none is. */
export interface RemoveDirectoryChange extends Expectation {
  readonly type: "remove_directory";
  readonly path: string;
  /** Leaves a directory that is not empty, instead of refusing the commit. */
  readonly ifEmpty?: boolean;
}

/** Of a file, or of a directory with all below it, to where nothing is. `memoryId` stays. */
export interface MoveChange extends Expectation {
  readonly type: "move";
  readonly path: string;
  readonly to: string;
}

export type FileChange = PutChange | DeleteChange | MakeDirectoryChange | RemoveDirectoryChange | MoveChange;

/**
 * The order in which the changes of one commit are applied, so that one thing may take the place of another: deletions,
 * moves as they were given, removals of directories (the innermost first), new directories, contents.
 */
export function inOrder(changes: readonly FileChange[]): readonly FileChange[] {
  if (changes.length < 2) return changes;
  const rank = { delete: 0, move: 1, remove_directory: 2, make_directory: 3, put: 4 } as const;
  return [...changes].sort((left, right) => {
    const byType = rank[left.type] - rank[right.type];
    return byType === 0 && left.type === "remove_directory" ? right.path.length - left.path.length : byType;
  });
}
