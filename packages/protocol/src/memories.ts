/** Memories: the texts of a memory store, and every version that they have had. @module */
import { z } from "zod";
import { deletionOf, pageOf } from "./pages.ts";
import { timestamp } from "./values.ts";

/** Bytes of UTF-8. */
export const maximumMemoryBytes = 102_400;
export const maximumMemoriesInStore = 2_000;
export const largestMemoryPage = { basic: 100, full: 20 } as const;

export const memoryView = z.enum(["basic", "full"]);
export type MemoryView = z.infer<typeof memoryView>;

/** In hexadecimal, lower case. */
export const contentHash = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits in lower case");

/** How a path may look is judged by the server, which says which rule it breaks. */
const path = z.string().min(1).max(4_096);
const content = z.string().nullable();

export const createMemoryRequest = z.strictObject({ path, content }).meta({ id: "CreateMemoryRequest" });
export type CreateMemoryRequest = z.infer<typeof createMemoryRequest>;

/** Absent members and null stay. */
export const updateMemoryRequest = z
  .strictObject({
    path: z.exactOptional(path.nullable()),
    content: z.exactOptional(content),
    precondition: z.exactOptional(
      z.strictObject({ type: z.literal("content_sha256"), content_sha256: z.exactOptional(contentHash) }),
    ),
  })
  .meta({ id: "UpdateMemoryRequest" });
export type UpdateMemoryRequest = z.infer<typeof updateMemoryRequest>;

export const memory = z
  .object({
    id: z.string(),
    type: z.literal("memory"),
    memory_store_id: z.string(),
    memory_version_id: z.string(),
    path: z.string(),
    content_sha256: z.string(),
    content_size_bytes: z.int(),
    /** Null in the basic view. */
    content: z.string().nullable(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "Memory" });
export type Memory = z.infer<typeof memory>;

/** Stands for the memories whose paths begin with `path`, which ends with a slash. */
const memoryPrefix = z.object({ type: z.literal("memory_prefix"), path: z.string() });

export const memoryListItem = z.discriminatedUnion("type", [memory, memoryPrefix]);
export type MemoryListItem = z.infer<typeof memoryListItem>;
export const memoryPage = pageOf(memoryListItem).meta({ id: "MemoryPage" });
export const memoryDeletion = deletionOf("memory_deleted").meta({ id: "MemoryDeletion" });

export const memoryOperations = ["created", "modified", "deleted"] as const;
export type MemoryOperation = (typeof memoryOperations)[number];

/** Who did it, as it was known then. */
export const memoryActor = z.discriminatedUnion("type", [
  z.object({ type: z.literal("session_actor"), session_id: z.string() }),
  z.object({ type: z.literal("api_actor"), api_key_id: z.string() }),
  z.object({ type: z.literal("user_actor"), user_id: z.string() }),
]);
export type MemoryActor = z.infer<typeof memoryActor>;

export const memoryVersion = z
  .object({
    id: z.string(),
    type: z.literal("memory_version"),
    memory_id: z.string(),
    memory_store_id: z.string(),
    operation: z.enum(memoryOperations),
    /** These four are null once it is redacted; of a deletion only the path is not. */
    path: z.string().nullable(),
    content: z.string().nullable(),
    content_sha256: z.string().nullable(),
    content_size_bytes: z.int().nullable(),
    created_at: timestamp,
    /** Absent where it was not recorded. */
    created_by: z.exactOptional(memoryActor),
    redacted_at: timestamp.nullable(),
    redacted_by: z.exactOptional(memoryActor),
    /** What this server adds: the way it came, and whether its writer had read what nobody vouches for. */
    x_exoloop: z.object({
      via: z.enum(["tool", "bash", "api", "import", "undo", "promotion"]),
      untrusted: z.boolean(),
      user_id: z.string().nullable(),
      tool_use_id: z.string().nullable(),
    }),
  })
  .meta({ id: "MemoryVersion" });
export type MemoryVersion = z.infer<typeof memoryVersion>;
export const memoryVersionPage = pageOf(memoryVersion).meta({ id: "MemoryVersionPage" });
