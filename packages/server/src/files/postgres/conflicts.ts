/** The losing side of a race: kept so that it can be recovered. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount } from "../mounts.ts";
import type { FileActor } from "../store.ts";
import { sha256Of } from "../text.ts";

/** Text that lost a race. */
export interface LostText {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly baseVersion: number | null;
  readonly headVersion: number | null;
}

/** Called under the mount's lock. */
export async function keepLost(
  database: Kysely<Tables>,
  mount: StoredMount,
  actor: FileActor,
  lost: readonly LostText[],
): Promise<void> {
  if (lost.length === 0) return;
  const unique = new Map(lost.map(({ bytes }) => [sha256Of(bytes), bytes]));
  await database
    .insertInto("file_blobs")
    .values(
      // In the order of their hashes, as in file_commit.
      [...unique]
        .sort(([left], [right]) => (left < right ? -1 : 1))
        .map(([sha256, bytes]) => ({
          organization_id: actor.organizationId,
          sha256,
          content: Buffer.from(bytes),
        })),
    )
    .onConflict((conflict) =>
      conflict
        .columns(["organization_id", "sha256"])
        .doUpdateSet((expression) => ({ content: expression.ref("excluded.content") }))
        .where(sql<boolean>`file_blobs.content is null`),
    )
    .execute();
  await database
    .insertInto("file_conflicts")
    .values(
      lost.map(({ path, bytes, baseVersion, headVersion }) => ({
        organization_id: actor.organizationId,
        mount: mount.key,
        path: pathInMount(mount, path),
        base_version: baseVersion,
        head_version: headVersion,
        sha256: sha256Of(bytes),
        session_id: actor.sessionId,
        user_id: actor.userId ?? null,
        tool_use_id: actor.toolUseId,
      })),
    )
    // A call that is captured again after a crash loses the same text once.
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
