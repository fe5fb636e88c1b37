/** Stored files: heads, contents, search text, history, and what sessions and sandboxes know of them. @module */
import type { ColumnType, Generated } from "kysely";

type Timestamp = ColumnType<Date, Date | undefined, Date>;
type Json<T> = ColumnType<T, string, string>;
type Count = ColumnType<number, number | undefined, number>;

/** `move_in` and `move_out`: the two ends of a rename, with each other's path. */
export type FileOperation =
  | "create"
  | "write"
  | "edit"
  | "merge"
  | "delete"
  | "move_in"
  | "move_out"
  /** Somebody vouches for the content as it is. */
  | "vouch"
  | "make_directory"
  | "remove_directory";

/** `promotion`: from a person's own memory, with their approval. */
export type FileOrigin = "tool" | "bash" | "api" | "import" | "undo" | "promotion";

interface FileMountTable {
  organization_id: string;
  mount: string;
  revision: Count;
  files: Generated<number>;
  bytes: Count;
  directories: Generated<number>;
}

interface FileBlobTable {
  organization_id: string;
  sha256: string;
  content: Buffer | null;
}

interface FileEntryTable {
  id: Generated<number>;
  organization_id: string;
  mount: string;
  path: string;
  folded_path: string;
  kind: "file" | "directory";
  version: number;
  revision: Count;
  sha256: string | null;
  size_bytes: Generated<number>;
  executable: Generated<boolean>;
  session_id: string | null;
  updated_at: Timestamp;
  memory_id: string | null;
  user_id: string | null;
  untrusted: Generated<boolean>;
}

interface FileTextTable {
  entry_id: number;
  organization_id: string;
  body: string;
  /** It waits to be put into the index. */
  fresh: Generated<boolean>;
}

interface FileVersionTable {
  organization_id: string;
  mount: string;
  revision: Count;
  ordinal: number;
  path: string;
  version: number;
  operation: FileOperation;
  base_version: number | null;
  sha256: string | null;
  source_sha256: string | null;
  size_bytes: number;
  executable: boolean;
  replacements: Generated<number>;
  session_id: string | null;
  tool_use_id: string | null;
  via: FileOrigin;
  created_at: Timestamp;
  id: string;
  memory_id: string | null;
  other_path: string | null;
  user_id: string | null;
  untrusted: Generated<boolean>;
  redacted_at: Date | null;
  redacted_by: Json<unknown> | null;
  api_key_id: string | null;
}

interface FileReadTable {
  session_id: string;
  mount: string;
  path: string;
  organization_id: string;
  version: number;
}

interface FileConflictTable {
  id: Generated<number>;
  organization_id: string;
  mount: string;
  path: string;
  base_version: number | null;
  head_version: number | null;
  sha256: string;
  session_id: string | null;
  tool_use_id: string | null;
  created_at: Timestamp;
  user_id: string | null;
  resolved_at: Date | null;
}

interface FileProjectionTable {
  session_id: string;
  organization_id: string;
  sandbox_id: string;
  generation: number;
  revisions: Json<Record<string, number>>;
  places: ColumnType<Record<string, string>, string | undefined, string>;
  updated_at: Timestamp;
}

export interface FileTables {
  file_mounts: FileMountTable;
  file_blobs: FileBlobTable;
  file_entries: FileEntryTable;
  file_texts: FileTextTable;
  file_texts_fresh: FileTextTable;
  file_texts_settled: FileTextTable;
  file_versions: FileVersionTable;
  file_reads: FileReadTable;
  file_conflicts: FileConflictTable;
  file_projections: FileProjectionTable;
}
