/** Which revisions each session's sandbox holds, for whichever worker looks next. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";

export interface SandboxKey {
  readonly organizationId: string;
  readonly sessionId: string;
  readonly sandboxId: string;
  readonly generation: number;
}

/** A version of a path with a certain content. */
export interface VersionOfContent {
  readonly path: string;
  readonly version: number;
  readonly sha256: string;
}

export interface ProjectionRecords {
  /** Key of a mount → revision. Null when nothing was ever laid into this sandbox, so that no command has seen anything. */
  find(key: SandboxKey): Promise<ReadonlyMap<string, number> | null>;
  save(key: SandboxKey, revisions: ReadonlyMap<string, number>): Promise<void>;
  /** Every version of these paths that has one of these contents. */
  versionsOfContents(
    organizationId: string,
    mount: StoredMount,
    paths: readonly string[],
    hashes: readonly string[],
  ): Promise<readonly VersionOfContent[]>;
}

export function createProjectionRecords(database: Kysely<Tables>): ProjectionRecords {
  return {
    async find(key) {
      const row = await database
        .selectFrom("file_projections")
        .select("revisions")
        .where("session_id", "=", key.sessionId)
        .where("sandbox_id", "=", key.sandboxId)
        .where("generation", "=", key.generation)
        .executeTakeFirst();
      return row === undefined ? null : new Map(Object.entries(row.revisions));
    },
    async save(key, revisions) {
      const { sandboxId: sandbox_id, generation } = key;
      const values = { sandbox_id, generation, revisions: JSON.stringify(Object.fromEntries(revisions)) };
      await database
        .insertInto("file_projections")
        .values({ session_id: key.sessionId, organization_id: key.organizationId, ...values })
        .onConflict((conflict) => conflict.column("session_id").doUpdateSet({ ...values, updated_at: new Date() }))
        .execute();
    },
    async versionsOfContents(organizationId, mount, paths, hashes) {
      if (paths.length === 0) return [];
      const rows = await database
        .selectFrom("file_versions")
        .select(["path", "version", "sha256"])
        .where("organization_id", "=", organizationId)
        .where("mount", "=", mount.key)
        .where(
          "path",
          "in",
          paths.map((path) => pathInMount(mount, path)),
        )
        .where("sha256", "in", hashes)
        .execute();
      return rows.flatMap(({ path, version, sha256 }) =>
        sha256 === null ? [] : [{ path: visiblePath(mount, path), version, sha256 }],
      );
    },
  };
}
