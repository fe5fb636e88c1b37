/** Skills: their versions, and which of them the mount has held since when. @module */
import type { ColumnType, GeneratedAlways } from "kysely";

type Timestamp = ColumnType<Date, Date | undefined, Date>;
type Count = ColumnType<number, number | undefined, number>;

interface SkillTable {
  id: string;
  organization_id: string;
  name: string;
  display_name: string;
  latest_version_id: string | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface SkillVersionTable {
  id: string;
  skill_id: string;
  organization_id: string;
  number: GeneratedAlways<number>;
  description: string;
  files: number;
  bytes: Count;
  created_at: Timestamp;
}

interface SkillVersionFileTable {
  version_id: string;
  organization_id: string;
  path: string;
  sha256: string;
  size_bytes: number;
  executable: boolean;
}

interface SkillHeadTable {
  skill_id: string;
  organization_id: string;
  revision: Count;
  version_id: string | null;
}

export interface SkillTables {
  skills: SkillTable;
  skill_versions: SkillVersionTable;
  skill_version_files: SkillVersionFileTable;
  skill_heads: SkillHeadTable;
}
