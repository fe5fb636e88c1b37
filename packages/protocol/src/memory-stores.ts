/** Memory stores: named collections of text that agents keep from session to session. @module */
import { z } from "zod";
import { deletionOf, pageOf } from "./pages.ts";
import { metadata, metadataPatch, timestamp } from "./values.ts";

const name = z
  .string()
  .min(1)
  .max(255)
  .regex(/^\P{Cc}*$/u, "control characters are not allowed");
const description = z.string().max(1_024);

export const createMemoryStoreRequest = z
  .strictObject({ name, description: z.exactOptional(description), metadata: z.exactOptional(metadata) })
  .meta({ id: "CreateMemoryStoreRequest" });
export type CreateMemoryStoreRequest = z.infer<typeof createMemoryStoreRequest>;

/** Absent members and null stay; an empty description clears it. */
export const updateMemoryStoreRequest = z
  .strictObject({
    name: z.exactOptional(name.nullable()),
    description: z.exactOptional(description.nullable()),
    metadata: z.exactOptional(metadataPatch.nullable()),
  })
  .meta({ id: "UpdateMemoryStoreRequest" });
export type UpdateMemoryStoreRequest = z.infer<typeof updateMemoryStoreRequest>;

export const memoryStore = z
  .object({
    id: z.string(),
    type: z.literal("memory_store"),
    name: z.string(),
    description: z.string(),
    metadata: z.record(z.string(), z.string()),
    created_at: timestamp,
    updated_at: timestamp,
    archived_at: timestamp.nullable(),
    /**
     * What this server adds. `organization`: the memory that every session of the organization has at /memory/org; it
     * cannot be attached, archived or deleted.
     */
    x_exoloop: z.object({ kind: z.enum(["named", "organization"]), memories: z.int() }),
  })
  .meta({ id: "MemoryStore" });
export type MemoryStore = z.infer<typeof memoryStore>;

/** Wherever a store's identifier stands: the organization's own memory. */
export const organizationMemoryStoreId = "memstore_org";

export const memoryStorePage = pageOf(memoryStore).meta({ id: "MemoryStorePage" });
export const memoryStoreDeletion = deletionOf("memory_store_deleted").meta({ id: "MemoryStoreDeletion" });
