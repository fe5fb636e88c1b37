/** The losing side of a race: kept so that it can be recovered. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { isShared, pathInMount, type StoredMount } from "../mounts.ts";
import type { FileActor } from "../store.ts";
import { sha256Of } from "../text.ts";
import type { FileChange } from "./change.ts";

/** Text that lost a race. */
export interface LostText {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly baseVersion: number | null;
  readonly headVersion: number | null;
}

/**
 * Called under the mount's lock, before the commit's changes are applied. Their contents are stored here, too, where a
 * text is lost: all of one commit in the order of their hashes, so that commits in two mounts cannot wait for each other
 * in a ring.
 */
export async function keepLost(
  database: Kysely<Tables>,
  mount: StoredMount,
  actor: FileActor,
  lost: readonly LostText[],
  changes: readonly FileChange[],
): Promise<void> {
  const texts = await withoutNotes(database, mount, actor, lost);
  if (texts.length === 0) return;
  const put = changes.flatMap((change) => (change.type === "put" ? [change.bytes] : []));
  const unique = new Map([
    ...texts.map(({ sha256, bytes }) => [sha256, bytes] as const),
    ...put.map((bytes) => [sha256Of(bytes), bytes] as const),
  ]);
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
      texts.map(({ path, sha256, baseVersion, headVersion }) => ({
        organization_id: actor.organizationId,
        mount: mount.key,
        path: pathInMount(mount, path),
        base_version: baseVersion,
        head_version: headVersion,
        sha256,
        session_id: actor.sessionId,
        user_id: actor.userId ?? null,
        tool_use_id: actor.toolUseId,
      })),
    )
    // A call that is captured again after a crash loses the same text once.
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Bytes: shorter texts are found in many places. */
const shortestNote = 32;

/**
 * What is kept of shared memory is shown to everybody: a note of the person's own memory is not, as it would not have
 * been stored there (`file_versions_origin`). The session has its own copy.
 */
async function withoutNotes(
  database: Kysely<Tables>,
  mount: StoredMount,
  { organizationId, userId = null }: FileActor,
  lost: readonly LostText[],
): Promise<readonly (LostText & { readonly sha256: string })[]> {
  const texts = lost.map((text) => ({ ...text, sha256: sha256Of(text.bytes) }));
  const suspects = texts.filter(({ bytes }) => bytes.length >= shortestNote).map(({ sha256 }) => sha256);
  if (userId === null || !isShared(mount) || suspects.length === 0) return texts;
  const { rows } = await sql<{ readonly sha256: string }>`
    select sha256 from unnest(${suspects}::text[]) sha256
    where file_is_note(${organizationId}, ${mount.key}, ${userId}, sha256)`.execute(database);
  const notes = new Set(rows.map(({ sha256 }) => sha256));
  return texts.filter(({ sha256 }) => !notes.has(sha256));
}
