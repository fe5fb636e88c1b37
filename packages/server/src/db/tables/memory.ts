/** Memory stores, what is attached to sessions, and uploaded files. @module */
import type { ColumnType, Generated } from "kysely";

type Timestamp = ColumnType<Date, Date | undefined, Date>;

export interface MemoryStoreTable {
  id: string;
  organization_id: string;
  mount: string;
  name: string;
  description: Generated<string>;
  metadata: ColumnType<Record<string, string>, string | undefined, string>;
  created_at: Timestamp;
  updated_at: Timestamp;
  archived_at: Date | null;
}

export interface SessionResourceTable {
  id: string;
  organization_id: string;
  session_id: string;
  position: Generated<number>;
  type: "memory_store" | "file";
  memory_store_id: string | null;
  directory: string | null;
  access: "read_only" | "read_write" | null;
  instructions: string | null;
  name: string | null;
  description: string | null;
  file_id: string | null;
  mount_path: string | null;
  initial: boolean;
  created_at: Timestamp;
  updated_at: Timestamp;
  removed_at: Date | null;
}

export interface UploadedFileTable {
  id: string;
  organization_id: string;
  file_name: string;
  media_type: string;
  size_bytes: ColumnType<number, number, number>;
  blobs: string[];
  created_by: string;
  created_at: Timestamp;
  expires_at: Date | null;
}

export interface MemoryTables {
  uploaded_files: UploadedFileTable;
  memory_stores: MemoryStoreTable;
  session_resources: SessionResourceTable;
}
