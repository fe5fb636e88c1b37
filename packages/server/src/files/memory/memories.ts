/** Memories in Postgres: what the API does to the files of a store. @module */
import type { CreateMemoryRequest, Memory, MemoryView, UpdateMemoryRequest } from "@exoloop/protocol/memories";
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { Problem } from "../../errors.ts";
import type { FileChange } from "../postgres/change.ts";
import { applyChanges } from "../postgres/apply.ts";
import { commitFiles, type CommitView } from "../postgres/commit.ts";
import type { StoredFile } from "../postgres/rows.ts";
import { belowOrAt } from "../postgres/directories.ts";
import { ancestorsBelow, foldPath } from "../path.ts";
import { FileError } from "../store.ts";
import { encodeText, sha256Of } from "../text.ts";
import { checkMemoryPath } from "./memory-path.ts";
import { memoryNotFound, memoryTooLarge, pathConflict, preconditionFailed, storeFull } from "./memory-problems.ts";
import { findMemory, findOverlap, listMemories, type MemoryPage, type MemoryQuery } from "./memory-rows.ts";
import {
  type MemoryCaller,
  memoryActor,
  openStore,
  openStoreForRemoval,
  openStoreForWriting,
  type OpenStore,
  refuseArchivedStore,
  storeNotFound,
} from "./store-access.ts";

/** Every method throws Problem `not_found` for a store or a memory that the caller does not have. */
export interface MemoryRepository {
  /** @throws Problem `invalid_path`, `invalid_request`, `memory_path_conflict`, `memory_store_full`, `memory_store_archived`, `forbidden` */
  create(caller: MemoryCaller, storeId: string, request: CreateMemoryRequest, view: MemoryView): Promise<Memory>;
  get(caller: MemoryCaller, storeId: string, memoryId: string, view: MemoryView): Promise<Memory>;
  /** @throws Problem as `create` does, and `memory_precondition_failed` */
  update(
    caller: MemoryCaller,
    storeId: string,
    memoryId: string,
    request: UpdateMemoryRequest,
    view: MemoryView,
  ): Promise<Memory>;
  /** @throws Problem `memory_precondition_failed`, `forbidden` */
  delete(caller: MemoryCaller, storeId: string, memoryId: string, expectedSha256: string | null): Promise<void>;
  list(caller: MemoryCaller, storeId: string, query: MemoryQuery): Promise<MemoryPage>;
}

/** @example const memories = createMemoryRepository(database); */
export function createMemoryRepository(database: Kysely<Tables>): MemoryRepository {
  return {
    create: (caller, storeId, request, view) => createMemory(database, caller, storeId, request, view),
    async get(caller, storeId, memoryId, view) {
      return readMemory(database, await openStore(database, caller, storeId), memoryId, view);
    },
    update: (caller, storeId, memoryId, request, view) =>
      updateMemory(database, caller, storeId, memoryId, request, view),
    delete: (caller, storeId, memoryId, expected) => deleteMemory(database, caller, storeId, memoryId, expected),
    async list(caller, storeId, query) {
      return listMemories(database, await openStore(database, caller, storeId), query);
    },
  };
}

async function readMemory(database: Kysely<Tables>, store: OpenStore, memoryId: string, view: MemoryView) {
  const memory = await findMemory(database, store, memoryId, view);
  if (memory === null) throw memoryNotFound(memoryId);
  return memory;
}

async function createMemory(
  database: Kysely<Tables>,
  caller: MemoryCaller,
  storeId: string,
  request: CreateMemoryRequest,
  view: MemoryView,
): Promise<Memory> {
  const path = checkMemoryPath(request.path, "path");
  const store = await openStoreForWriting(database, caller, storeId);
  const bytes = encodeContent(store, request.content ?? "");
  await change(database, store, caller, [path], ({ heads }) => {
    const head = heads.get(path);
    if (head !== undefined) throw pathConflict(path, head);
    return [put(path, bytes, undefined)];
  });
  const created = await findOverlap(database, store, path);
  if (created === null) throw memoryNotFound(path);
  return readMemory(database, store, created.memoryId, view);
}

function put(path: string, bytes: Uint8Array, head: StoredFile | undefined): FileChange {
  return { type: "put", path, bytes, executable: head?.executable ?? false, operation: "write" };
}

function encodeContent({ mount }: OpenStore, content: string): Uint8Array {
  const bytes = encodeText(content);
  if (bytes.length > mount.maximumTextBytes) throw memoryTooLarge(bytes.length, mount.maximumTextBytes);
  return bytes;
}

async function updateMemory(
  database: Kysely<Tables>,
  caller: MemoryCaller,
  storeId: string,
  memoryId: string,
  request: UpdateMemoryRequest,
  view: MemoryView,
): Promise<Memory> {
  const target = typeof request.path === "string" ? checkMemoryPath(request.path, "path") : null;
  const expected = expectedHash(request);
  const store = await openStoreForWriting(database, caller, storeId);
  const bytes = typeof request.content === "string" ? encodeContent(store, request.content) : null;
  await changeMemory(database, store, caller, memoryId, target, (head) => {
    const path = target ?? head.path;
    const same = path === head.path && (bytes === null || sha256Of(bytes) === head.sha256);
    if (same) return [];
    if (expected !== null && expected !== head.sha256) throw preconditionFailed(memoryId);
    return [
      ...(path === head.path ? [] : [{ type: "move" as const, path: head.path, to: path }]),
      ...(bytes === null ? [] : [put(path, bytes, head)]),
    ];
  });
  return readMemory(database, store, memoryId, view);
}

function expectedHash({ precondition }: UpdateMemoryRequest): string | null {
  if (precondition === undefined) return null;
  if (precondition.content_sha256 !== undefined) return precondition.content_sha256;
  throw new Problem(
    "invalid_request",
    "precondition.content_sha256: is missing, so the condition says nothing.",
    "Send the content_sha256 of the memory as you know it, or leave precondition out.",
  );
}

async function deleteMemory(
  database: Kysely<Tables>,
  caller: MemoryCaller,
  storeId: string,
  memoryId: string,
  expected: string | null,
): Promise<void> {
  const store = await openStoreForRemoval(database, caller, storeId);
  await changeMemory(database, store, caller, memoryId, null, (head) => {
    if (expected !== null && expected !== head.sha256) throw preconditionFailed(memoryId);
    return [{ type: "delete", path: head.path }];
  });
}

/** A memory may be renamed by others as often as this while it is looked for. */
const mostRenames = 5;

/** Changes the memory under its store's lock, wherever it is then. */
async function changeMemory(
  database: Kysely<Tables>,
  store: OpenStore,
  caller: MemoryCaller,
  memoryId: string,
  target: string | null,
  decide: (head: StoredFile) => readonly FileChange[],
): Promise<void> {
  for (let attempt = 0; attempt < mostRenames; attempt += 1) {
    const { path } = await readMemory(database, store, memoryId, "basic");
    const paths = target === null || target === path ? [path] : [path, target];
    const found = await change(database, store, caller, paths, ({ heads }) => {
      const head = heads.get(path);
      return head?.memoryId === memoryId ? decide(head) : null;
    });
    if (found) return;
  }
  throw new Problem("version_conflict", `The memory ${memoryId} is being renamed by others.`, "Try again.");
}

/** @throws Problem `not_found`, `memory_store_archived`; nobody deletes or archives it until this commit has ended */
async function refuseLateChange(transaction: Kysely<Tables>, { row, mount }: OpenStore): Promise<void> {
  const now = await transaction
    .selectFrom("memory_stores")
    .selectAll()
    .where("id", "=", row.id)
    .forShare()
    .executeTakeFirst();
  if (now === undefined) throw storeNotFound(row.id);
  if (mount.access === "read_write" && row.archived_at === null) refuseArchivedStore(now);
}

/**
 * To the API directories are no objects: those without memories give way to a memory, at its path, and where they differ
 * from it or from one above it only in case.
 */
async function emptyDirectories(
  transaction: Kysely<Tables>,
  { row }: OpenStore,
  path: string,
): Promise<readonly FileChange[]> {
  const above = ancestorsBelow("", path);
  const entries = transaction
    .selectFrom("file_entries")
    .where("organization_id", "=", row.organization_id)
    .where("mount", "=", row.mount);
  const directories = await entries
    .select("path")
    .where("folded_path", "in", [...above, path].map(foldPath))
    .where("kind", "=", "directory")
    .execute();
  const changes: FileChange[] = [];
  for (const directory of directories.filter((found) => !above.includes(found.path))) {
    const inside = await entries.select(["path", "kind"]).where(belowOrAt(directory.path)).execute();
    if (inside.some((entry) => entry.kind === "file")) continue;
    changes.push(...inside.map((entry) => ({ type: "remove_directory" as const, path: entry.path, ifEmpty: true })));
  }
  return changes;
}

/**
 * One commit, unless the store was archived or deleted since it was opened. Answers whether there was something to decide.
 * @throws Problem `memory_path_conflict`, `memory_store_full`, `not_found`, `memory_store_archived`
 */
async function change(
  database: Kysely<Tables>,
  store: OpenStore,
  caller: MemoryCaller,
  paths: readonly string[],
  decide: (view: CommitView) => readonly FileChange[] | null,
): Promise<boolean> {
  const request = { mount: store.mount, actor: memoryActor(caller), paths };
  try {
    const { result } = await commitFiles(database, request, async (view) => {
      await refuseLateChange(view.transaction, store);
      const changes = decide(view);
      const target = paths.at(-1) ?? "";
      if (changes !== null && changes.length > 0 && changes[0]?.type !== "delete") {
        const inTheWay = await emptyDirectories(view.transaction, store, target);
        if (inTheWay.length > 0) await applyChanges(view.transaction, store.mount, request.actor, inTheWay);
      }
      return { changes: changes ?? [], result: changes !== null };
    });
    return result;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (error.code === "too_large") throw storeFull(store.mount.maximumFiles);
    const path = paths.at(-1) ?? "";
    if (error.code === "path_conflict" || error.code === "is_directory") {
      throw pathConflict(path, await findOverlap(database, store, path));
    }
    throw new Problem("invalid_request", error.message);
  }
}
