/** Keys of workers: each belongs to one self-hosted environment and opens nothing but its work. @module */
import type { EnvironmentKey, EnvironmentKeyWithSecret } from "@exoloop/protocol/work";
import { type Kysely, sql } from "kysely";
import { type ListPage, type ListQuery, listCondition, listPage, positionColumn, readOrder } from "../agents/list.ts";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { createApiKey, revokeApiKey } from "./api-keys.ts";

export interface EnvironmentKeyRepository {
  /** @throws Problem `not_found`, `environment_archived`, `invalid_request` unless the environment is self-hosted */
  create(organizationId: string, environmentId: string, name: string): Promise<EnvironmentKeyWithSecret>;
  /** Those that are valid. @throws Problem `not_found` */
  list(organizationId: string, environmentId: string, query: ListQuery): Promise<ListPage<EnvironmentKey>>;
  /** For good; a worker that works with it now ends within seconds. @throws Problem `not_found` */
  revoke(organizationId: string, environmentId: string, keyId: string): Promise<void>;
}

const shownColumns = ["id", "environment_id", "name", "created_at", "last_used_at"] as const;

interface KeyRow {
  readonly id: string;
  readonly environment_id: string | null;
  readonly name: string;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
}

function writeKey(row: KeyRow): EnvironmentKey {
  return {
    id: row.id,
    type: "environment_key",
    environment_id: row.environment_id ?? "",
    name: row.name,
    created_at: row.created_at.toISOString(),
    last_used_at: row.last_used_at?.toISOString() ?? null,
  };
}

/** @example const { key } = await createEnvironmentKeys(database).create(organizationId, environmentId, "laptop"); */
export function createEnvironmentKeys(database: Kysely<Tables>): EnvironmentKeyRepository {
  return {
    create: (organizationId, environmentId, name) =>
      database.transaction().execute(async (transaction) => {
        const environment = await findEnvironment(transaction, organizationId, environmentId);
        if (environment.type !== "self_hosted") {
          throw new Problem(
            "invalid_request",
            "The environment is not self-hosted: no worker could use a key of it.",
            'Create one with the config {"type":"self_hosted"}.',
          );
        }
        if (environment.archived_at !== null) {
          throw new Problem("environment_archived", "The environment is archived.", "Use another one.");
        }
        const request = { organizationId, name, scopes: ["worker"], environmentId } as const;
        const { id, apiKey } = await createApiKey(transaction, request);
        const row = await transaction
          .selectFrom("api_keys")
          .select(shownColumns)
          .where("id", "=", id)
          .executeTakeFirstOrThrow();
        return { ...writeKey(row), key: apiKey };
      }),
    async list(organizationId, environmentId, query) {
      await findEnvironment(database, organizationId, environmentId);
      const rows = await database
        .selectFrom("api_keys")
        .select(shownColumns)
        .select(positionColumn.as("list_position"))
        .where("environment_id", "=", environmentId)
        .where("organization_id", "=", organizationId)
        .where("revoked_at", "is", null)
        .where(listCondition({ ...query, includeArchived: true }))
        .orderBy("created_at", readOrder(query))
        .orderBy("id", readOrder(query))
        .limit(query.limit + 1)
        .execute();
      const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
      return { ...page, rows: page.rows.map(writeKey) };
    },
    async revoke(organizationId, environmentId, keyId) {
      const key = await database
        .selectFrom("api_keys")
        .select("id")
        .where("id", "=", keyId)
        .where("environment_id", "=", environmentId)
        .executeTakeFirst();
      if (key !== undefined && (await revokeApiKey(database, organizationId, keyId))) return;
      throw new Problem(
        "not_found",
        "The environment has no valid key with this id.",
        "List them with GET /v1/x/environments/{environment_id}/keys.",
      );
    },
  };
}

async function findEnvironment(database: Kysely<Tables>, organizationId: string, environmentId: string) {
  const row = await database
    .selectFrom("environments")
    .select(["archived_at", sql<string>`config->>'type'`.as("type")])
    .where("id", "=", environmentId)
    .where("organization_id", "=", organizationId)
    .executeTakeFirst();
  if (row !== undefined) return row;
  throw new Problem(
    "not_found",
    "There is no environment with the id in this path.",
    "List them with GET /v1/environments.",
  );
}
