/** What a commit writes. @module */
import type { StoredMount } from "../mounts.ts";
import type { FileActor } from "../store.ts";
import type { StoredFile } from "./rows.ts";

export type FileChange =
  | {
      readonly type: "put";
      readonly path: string;
      readonly bytes: Uint8Array;
      readonly executable: boolean;
      readonly operation: "write" | "edit" | "merge";
      readonly replacements?: number;
      /** Of a merge: hash of what this session wrote. */
      readonly sourceSha256?: string;
    }
  | { readonly type: "delete"; readonly path: string };

/** One commit while it is written. */
export interface Commit {
  readonly mount: StoredMount;
  readonly actor: FileActor;
  readonly heads: ReadonlyMap<string, StoredFile>;
  readonly revision: number;
}

export type PutChange = Extract<FileChange, { type: "put" }>;

export interface PreparedPut {
  readonly change: PutChange;
  readonly sha256: string;
  readonly text: string | null;
}
