/** Why a memory was not written, as the API says it. @module */
import { maximumMemoriesInStore } from "@exoloop/protocol/memories";
import { Problem } from "../../errors.ts";

export function memoryNotFound(memoryId: string): Problem {
  return new Problem(
    "not_found",
    `The memory store has no memory with the id ${JSON.stringify(memoryId)}.`,
    "List them with GET /v1/memory_stores/{memory_store_id}/memories.",
  );
}

/** @param blocking What is in the way; null when it was gone before it could be named. */
export function pathConflict(
  path: string,
  blocking: { readonly memoryId: string; readonly path: string } | null,
): Problem {
  const at = blocking?.path ?? path;
  const why =
    blocking === null || blocking.path === path
      ? `${path} is taken`
      : `${path} cannot be beside ${blocking.path}: neither may lie below the other or differ from it only in case`;
  return new Problem(
    "memory_path_conflict",
    `${why}. Nothing was written.`,
    "Update that memory, or rename or delete it first.",
    {},
    { conflicting_memory_id: blocking?.memoryId ?? "", conflicting_path: at },
  );
}

export function preconditionFailed(memoryId: string): Problem {
  return new Problem(
    "memory_precondition_failed",
    `The content of the memory ${memoryId} is not the expected one. Nothing was changed.`,
    "Retrieve the memory, look at its content, and try again with its content_sha256.",
  );
}

export function memoryTooLarge(bytes: number, maximum: number): Problem {
  return new Problem(
    "invalid_request",
    `content: has ${bytes} bytes in UTF-8; a memory here has at most ${maximum}.`,
    "Keep a memory short: split it, or store a summary.",
  );
}

export function storeFull(maximum: number = maximumMemoriesInStore): Problem {
  return new Problem(
    "memory_store_full",
    `The memory store is full: it holds at most ${maximum} memories.`,
    "Delete or join some of them, or use another store.",
  );
}
