/** What every pass over a sandbox's copies is given. @module */
import type { Workspace } from "../../sandboxes/workspace.ts";
import type { StoredMount } from "../mounts.ts";
import type { ProjectionRecord } from "../postgres/projection-records.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import type { Baseline, BaselineCache } from "./baseline.ts";
import type { ProjectionTarget } from "./target.ts";

export interface ProjectionDependencies {
  readonly files: StoredFiles;
  /** One per process, shared by all projections. */
  readonly baselines: BaselineCache;
  readonly organizationId: string;
  readonly sessionId: string;
  readonly mounts: readonly StoredMount[];
  /** For whom the session works: whoever changes a file is written into its history. */
  readonly userId?: string | null;
  /** What the session writes may come from content that nobody vouches for. */
  readonly untrusted?: boolean;
  /** Where the copies are; by what the sandbox's session offers unless given. */
  readonly targetOf?: (workspace: Workspace) => ProjectionTarget;
}

/** Where the copies stand, and where the stored files do. */
export interface Footing {
  /** Null when it is to be derived. */
  readonly baseline: Baseline | null;
  /** Null when no command has run in this sandbox yet. */
  readonly record: ProjectionRecord | null;
  /** Of every mount that the session sees: the newest revision, of skills the pinned one. */
  readonly revisions: ReadonlyMap<string, number>;
}
