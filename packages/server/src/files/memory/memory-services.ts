/** All that the API does with memory, over one database. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { createMemoryRepository, type MemoryRepository } from "./memories.ts";
import { createMemoryStoreRepository, type MemoryStoreRepository } from "./stores.ts";
import { createMemoryVersionRepository, type MemoryVersionRepository } from "./versions.ts";

export interface MemoryServices {
  readonly stores: MemoryStoreRepository;
  readonly memories: MemoryRepository;
  readonly versions: MemoryVersionRepository;
}

/** @example createApp({ …, memory: createMemoryServices(database) }) */
export function createMemoryServices(database: Kysely<Tables>): MemoryServices {
  return {
    stores: createMemoryStoreRepository(database),
    memories: createMemoryRepository(database),
    versions: createMemoryVersionRepository(database),
  };
}
