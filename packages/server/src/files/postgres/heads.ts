/** Writing heads, their search text and their history. Called only under the mount's lock. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, visiblePath } from "../mounts.ts";
import { foldPath } from "../path.ts";
import type { Commit, FileChange, PreparedPut } from "./change.ts";

export async function writeHeads(
  transaction: Transaction<Tables>,
  { mount, actor, heads, revision }: Commit,
  puts: readonly PreparedPut[],
  versions: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, string>> {
  if (puts.length === 0) return new Map();
  const rows = await transaction
    .insertInto("file_entries")
    .values(
      puts.map(({ change, sha256 }) => ({
        organization_id: actor.organizationId,
        mount: mount.key,
        memory_id: heads.get(change.path)?.memoryId ?? createId("memory"),
        path: pathInMount(mount, change.path),
        folded_path: foldPath(pathInMount(mount, change.path)),
        kind: "file" as const,
        version: versions.get(change.path) ?? 1,
        revision,
        sha256,
        size_bytes: change.bytes.length,
        executable: change.executable,
        session_id: actor.sessionId,
        user_id: actor.userId ?? null,
        untrusted: actor.untrusted ?? false,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(["organization_id", "mount", "path"]).doUpdateSet((expression) => ({
        version: expression.ref("excluded.version"),
        revision: expression.ref("excluded.revision"),
        sha256: expression.ref("excluded.sha256"),
        size_bytes: expression.ref("excluded.size_bytes"),
        executable: expression.ref("excluded.executable"),
        session_id: expression.ref("excluded.session_id"),
        user_id: expression.ref("excluded.user_id"),
        untrusted: expression.ref("excluded.untrusted"),
        updated_at: new Date(),
      })),
    )
    .returning(["id", "path", "memory_id"])
    .execute();
  const entryIds = new Map(rows.map((row) => [visiblePath(mount, row.path), row.id]));
  await writeTexts(transaction, actor.organizationId, puts, entryIds);
  return new Map(rows.map((row) => [visiblePath(mount, row.path), row.memory_id ?? ""]));
}

async function writeTexts(
  transaction: Transaction<Tables>,
  organizationId: string,
  puts: readonly PreparedPut[],
  entryIds: ReadonlyMap<string, number>,
): Promise<void> {
  const texts = puts.flatMap(({ change, text }) => {
    const entryId = entryIds.get(change.path);
    return text === null || entryId === undefined
      ? []
      : [{ entry_id: entryId, organization_id: organizationId, body: text }];
  });
  const binaries = puts.flatMap(({ change, text }) => (text === null ? [entryIds.get(change.path) ?? 0] : []));
  if (binaries.length > 0) await transaction.deleteFrom("file_texts").where("entry_id", "in", binaries).execute();
  if (texts.length === 0) return;
  await transaction
    .insertInto("file_texts")
    .values(texts)
    .onConflict((conflict) =>
      conflict.column("entry_id").doUpdateSet((expression) => ({ body: expression.ref("excluded.body") })),
    )
    .execute();
}

export async function writeHistory(
  transaction: Transaction<Tables>,
  { mount, actor, heads, revision }: Commit,
  changes: readonly FileChange[],
  puts: readonly PreparedPut[],
  versions: ReadonlyMap<string, number>,
  memoryIds: ReadonlyMap<string, string>,
): Promise<void> {
  const hashes = new Map(puts.map((put) => [put.change.path, put.sha256]));
  const rows = changes.map((change, ordinal) => {
    const head = heads.get(change.path);
    const put = change.type === "put" ? change : null;
    return {
      organization_id: actor.organizationId,
      id: createId("memoryVersion"),
      memory_id: head?.memoryId ?? memoryIds.get(change.path) ?? null,
      mount: mount.key,
      revision,
      ordinal,
      path: pathInMount(mount, change.path),
      version: versions.get(change.path) ?? 1,
      operation: put === null ? ("delete" as const) : head === undefined ? ("create" as const) : put.operation,
      base_version: head?.version ?? null,
      sha256: hashes.get(change.path) ?? null,
      source_sha256: put?.sourceSha256 ?? null,
      size_bytes: put?.bytes.length ?? 0,
      executable: put?.executable ?? false,
      replacements: put?.replacements ?? 0,
      session_id: actor.sessionId,
      user_id: actor.userId ?? null,
      untrusted: actor.untrusted ?? false,
      tool_use_id: actor.toolUseId,
      api_key_id: actor.apiKeyId ?? null,
      via: actor.via,
    };
  });
  await transaction.insertInto("file_versions").values(rows).execute();
}
