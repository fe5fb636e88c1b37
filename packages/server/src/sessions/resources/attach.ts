/** Attaching to a session, inside the transaction that holds its row's lock or creates it. @module */
import { createId } from "@exoloop/protocol/ids";
import { maximumAttachedStores, type MemoryStoreInput, type ResourceInput } from "@exoloop/protocol/session-resources";
import type { Kysely, Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { Problem } from "../../errors.ts";
import type { ResourceRow } from "./read-resources.ts";
import { storeDirectory } from "./store-directory.ts";

interface ResourceOwner {
  readonly organizationId: string;
  readonly sessionId: string;
}

/**
 * All of them or none.
 * @param options.initial The session is being created: what is attached now is told at the beginning of its prompt.
 * @param options.field How errors call the list, or the one thing, that was sent.
 * @throws Problem `memory_store_not_found`, `memory_store_archived`, `invalid_request`, `unsupported`
 */
export async function attachResources(
  transaction: Transaction<Tables>,
  owner: ResourceOwner,
  inputs: readonly ResourceInput[],
  { initial, field }: { readonly initial: boolean; readonly field: (index: number) => string },
): Promise<readonly ResourceRow[]> {
  const attached: ResourceRow[] = [];
  for (const [index, input] of inputs.entries()) {
    const known = await knownResources(transaction, owner.sessionId);
    attached.push(
      await attachStore(transaction, owner, known, readStoreInput(input, field(index)), initial, field(index)),
    );
  }
  return attached;
}

/** @throws Problem `unsupported` */
export function readStoreInput(input: ResourceInput, field: string): MemoryStoreInput {
  if (input.type === "memory_store") return input;
  throw new Problem(
    "unsupported",
    `${field}: resources of type ${input.type} are not supported by this server.`,
    "Attach memory stores; put files into the workspace with a snapshot or by the agent's own tools.",
  );
}

/** Those that were removed too: their names have been told. */
function knownResources(database: Kysely<Tables>, sessionId: string): Promise<ResourceRow[]> {
  return database
    .selectFrom("session_resources")
    .selectAll()
    .where("session_id", "=", sessionId)
    .where("type", "=", "memory_store")
    .orderBy("position")
    .execute();
}

async function attachStore(
  transaction: Transaction<Tables>,
  owner: ResourceOwner,
  known: readonly ResourceRow[],
  input: MemoryStoreInput,
  initial: boolean,
  field: string,
): Promise<ResourceRow> {
  const store = await requireStore(transaction, owner.organizationId, input.memory_store_id, field);
  const present = known.flatMap((row) => (row.removed_at === null ? (row.memory_store_id ?? []) : []));
  refuseSurplus(present, store.id, field);
  // The model knows a directory for one store only, however often that comes and goes.
  const before = known.find((row) => row.memory_store_id === store.id);
  const taken = new Set(known.flatMap((row) => row.directory ?? []));
  return transaction
    .insertInto("session_resources")
    .values({
      id: createId("sessionResource"),
      organization_id: owner.organizationId,
      session_id: owner.sessionId,
      type: "memory_store",
      memory_store_id: store.id,
      directory: before?.directory ?? storeDirectory(store.name, taken),
      access: input.access ?? "read_write",
      instructions: input.instructions ?? null,
      name: store.name,
      description: store.description,
      initial,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

function refuseSurplus(present: readonly string[], storeId: string, field: string): void {
  if (present.includes(storeId)) {
    throw new Problem("invalid_request", `${field}: the memory store ${storeId} is attached twice.`, "Send it once.");
  }
  if (present.length < maximumAttachedStores) return;
  throw new Problem(
    "invalid_request",
    `${field}: a session has at most ${maximumAttachedStores} memory stores.`,
    "Leave it out, or detach another one first.",
  );
}

/**
 * Whether they could be attached to a session now.
 * @throws Problem as attachResources does
 */
export async function checkResources(
  transaction: Transaction<Tables>,
  organizationId: string,
  inputs: readonly ResourceInput[],
): Promise<void> {
  const present: string[] = [];
  for (const [index, input] of inputs.entries()) {
    const field = `resources[${index}]`;
    const store = await requireStore(transaction, organizationId, readStoreInput(input, field).memory_store_id, field);
    refuseSurplus(present, store.id, field);
    present.push(store.id);
  }
}

async function requireStore(transaction: Kysely<Tables>, organizationId: string, storeId: string, field: string) {
  const store = await transaction
    .selectFrom("memory_stores")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("id", "=", storeId)
    // Nobody archives or deletes it until it is attached.
    .forShare()
    .executeTakeFirst();
  if (store === undefined) {
    throw new Problem(
      "memory_store_not_found",
      `${field}.memory_store_id: there is no memory store with this id.`,
      "List them with GET /v1/memory_stores.",
    );
  }
  if (store.archived_at !== null) {
    throw new Problem(
      "memory_store_archived",
      `${field}.memory_store_id: this memory store is archived.`,
      "Use another one.",
    );
  }
  if (store.mount !== `store/${store.id}`) {
    throw new Problem(
      "invalid_request",
      `${field}.memory_store_id: every session has the organization's own memory at /memory/org already.`,
      "Leave it out.",
    );
  }
  return store;
}
