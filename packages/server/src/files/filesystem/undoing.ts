/** Taking back, for people, what a session did: in all stored files that both have seen. @module */
import type { FileRestoration, UndoFilesRequest } from "@exoloop/protocol/filesystem";
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { Problem } from "../../errors.ts";
import type { Principal } from "../../orgs/principal.ts";
import { findOpenSession } from "../../sessions/access.ts";
import { memoryStoreMount, type StoredMount } from "../mounts.ts";
import { type FileActor, FileError } from "../store.ts";
import { principalMounts } from "./principal-mounts.ts";
import type { FilesystemParts } from "./reading.ts";

/**
 * What its sub-agents did for it too. In every mount that the caller sees, and in the memory stores of a session that is open to the caller; each is one
 * commit. Where the session changed others, or what cannot be written any more, that is told.
 * @throws FileError `not_found` where it has changed nothing that the caller sees
 */
export async function undo(
  { database, files }: FilesystemParts,
  { principal, actor }: { readonly principal: Principal; readonly actor: FileActor },
  { session_id: sessionId, tool_use_id: toolUseId, dry_run: dryRun = false }: UndoFilesRequest,
): Promise<FileRestoration> {
  const threads = await threadsOf(database, principal.organizationId, sessionId);
  const changed = await files.history.mountsChangedBy(principal.organizationId, [sessionId, ...threads]);
  const stores = await storesOf(database, principal, sessionId);
  const own = await principalMounts(database, principal);
  const seen = [...own, ...(stores ?? []).filter(({ key }) => !own.some((mount) => mount.key === key))];
  const mounts = seen.filter(({ key }) => changed.includes(key));
  if (mounts.length === 0)
    throw new FileError(
      "not_found",
      `The session ${JSON.stringify(sessionId.slice(0, 80))} has changed no file that this key sees.`,
    );
  const undone: FileRestoration["files"] = [];
  for (const mount of mounts) {
    if (mount.access === "read_only") {
      undone.push({ path: mount.prefix, outcome: "kept", reason: "it is read-only" });
      continue;
    }
    const call = toolUseId === undefined ? {} : { toolUseId };
    const { changes, kept } = await files.history.undo({ mount, actor, sessionId, threads, ...call, dryRun });
    undone.push(...changes.map((change) => ({ path: change.path, outcome: change.change, reason: null })));
    undone.push(...kept.map(({ path, reason }) => ({ path, outcome: "kept" as const, reason })));
  }
  const unseen = changed.filter((key) => !seen.some((mount) => mount.key === key));
  // To whom the session is not open, where else it has written is not told either.
  if (stores !== null) undone.push(...unseen.map(keptUnseen));
  return { type: "file_restoration", dry_run: dryRun, files: undone };
}

async function threadsOf(
  database: Kysely<Tables>,
  organizationId: string,
  sessionId: string,
): Promise<readonly string[]> {
  const threads = await database
    .selectFrom("sessions")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("parent_session_id", "=", sessionId)
    .execute();
  return threads.map(({ id }) => id);
}

function keptUnseen(key: string): FileRestoration["files"][number] {
  const path = key.startsWith("memory/user/") ? "/memory/me" : `/memory/${key.replace("store/", "")}`;
  return { path, outcome: "kept", reason: "this key does not see these files" };
}

/** The stores that a session has had, those that were detached since too; null where it is not open to the caller. */
async function storesOf(
  database: Kysely<Tables>,
  principal: Principal,
  sessionId: string,
): Promise<readonly StoredMount[] | null> {
  const session = await findOpenSession(database, principal, sessionId, "drive").catch((error: unknown) => {
    if (error instanceof Problem) return null;
    throw error;
  });
  if (session === null) return null;
  const rows = await database
    .selectFrom("session_resources as resource")
    .innerJoin("memory_stores as store", (join) =>
      join
        .onRef("store.id", "=", "resource.memory_store_id")
        .onRef("store.organization_id", "=", "resource.organization_id"),
    )
    .select(["store.mount", "store.archived_at", "resource.directory"])
    .where("resource.session_id", "=", session.parent_session_id ?? session.id)
    .where("resource.organization_id", "=", principal.organizationId)
    .execute();
  const mounts = rows.map(({ mount, archived_at, directory }) =>
    memoryStoreMount(mount, `/memory/${directory ?? ""}`, archived_at === null ? "read_write" : "read_only"),
  );
  return [...new Map(mounts.map((mount) => [mount.key, mount])).values()];
}
