/** The people of an organization: whose sessions are private, and who stands beside what was written. @module */
import { createId } from "@exoloop/protocol/ids";
import type { CreateUserRequest, UpdateUserRequest, User, UserKey, UserKeyWithSecret } from "@exoloop/protocol/users";
import type { Kysely, Selectable } from "kysely";
import { type ListPage, type ListQuery, listCondition, listPage, positionColumn, readOrder } from "../agents/list.ts";
import type { ApiKeyTable, Tables, UserTable } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { type ApiKeyScope, createApiKey, revokeApiKey } from "./api-keys.ts";

/** People of one organization at a time: another organization's are `not_found`. */
export interface UserRepository {
  /** @throws Problem `name_taken` where the external id is another one's */
  create(organizationId: string, request: CreateUserRequest): Promise<User>;
  /** @throws Problem `not_found` */
  get(organizationId: string, userId: string): Promise<User>;
  list(organizationId: string, query: ListQuery & { readonly externalId?: string }): Promise<ListPage<User>>;
  /** @throws Problem `not_found`, `invalid_request` */
  update(organizationId: string, userId: string, request: UpdateUserRequest): Promise<User>;
  /** Their keys are nobody's from then on; what they wrote stays. Twice answers the same. @throws Problem `not_found` */
  archive(organizationId: string, userId: string): Promise<User>;
  readonly keys: UserKeys;
}

export interface UserKeys {
  /** @throws Problem `not_found`, `invalid_request` for an archived person */
  create(
    organizationId: string,
    userId: string,
    request: { readonly name?: string; readonly scopes?: readonly ApiKeyScope[] },
  ): Promise<UserKeyWithSecret>;
  /** Newest first. @throws Problem `not_found` */
  list(organizationId: string, userId: string): Promise<readonly UserKey[]>;
  /** Twice answers the same. @throws Problem `not_found` */
  revoke(organizationId: string, userId: string, keyId: string): Promise<UserKey>;
}

/** @example const users = createUserRepository(database); await users.create(organizationId, { external_id: "ann" }) */
export function createUserRepository(database: Kysely<Tables>): UserRepository {
  return {
    async create(organizationId, request) {
      const row = await database
        .insertInto("users")
        .values({
          id: createId("user"),
          organization_id: organizationId,
          external_id: request.external_id,
          name: request.name ?? request.external_id.slice(0, 100),
        })
        .onConflict((conflict) => conflict.columns(["organization_id", "external_id"]).doNothing())
        .returningAll()
        .executeTakeFirst();
      if (row !== undefined) return toUser(row);
      throw new Problem(
        "name_taken",
        "external_id: there is a user with this external_id.",
        "Find it with GET /v1/x/users?external_id=….",
      );
    },
    get: async (organizationId, userId) => toUser(await findUser(database, organizationId, userId)),
    list: (organizationId, query) => listUsers(database, organizationId, query),
    async update(organizationId, userId, { name }) {
      const { archived_at } = await findUser(database, organizationId, userId);
      if (archived_at !== null) throw archivedUser();
      await changeUser(database, organizationId, userId, { name });
      return toUser(await findUser(database, organizationId, userId));
    },
    async archive(organizationId, userId) {
      const { archived_at } = await findUser(database, organizationId, userId);
      if (archived_at === null) await changeUser(database, organizationId, userId, { archived_at: new Date() });
      return toUser(await findUser(database, organizationId, userId));
    },
    keys: createUserKeys(database),
  };
}

function createUserKeys(database: Kysely<Tables>): UserKeys {
  const keysOf = (organizationId: string, userId: string) =>
    database
      .selectFrom("api_keys")
      .select(["id", "name", "scopes", "created_at", "last_used_at", "revoked_at"])
      .where("organization_id", "=", organizationId)
      .where("user_id", "=", userId);
  const find = async (organizationId: string, userId: string, keyId: string) => {
    const row = await keysOf(organizationId, userId).where("id", "=", keyId).executeTakeFirst();
    if (row !== undefined) return toKey(userId, row);
    const hint = `List them with GET /v1/x/users/${userId}/keys.`;
    throw new Problem("not_found", "The user has no key with this id.", hint);
  };
  return {
    async create(organizationId, userId, { name, scopes = ["sessions"] }) {
      const user = await findUser(database, organizationId, userId);
      if (user.archived_at !== null) throw archivedUser();
      const made = await createApiKey(database, { organizationId, userId, name: name ?? user.name, scopes });
      return { ...(await find(organizationId, userId, made.id)), api_key: made.apiKey };
    },
    async list(organizationId, userId) {
      await findUser(database, organizationId, userId);
      const rows = await keysOf(organizationId, userId).orderBy("created_at", "desc").limit(1_000).execute();
      return rows.map((row) => toKey(userId, row));
    },
    async revoke(organizationId, userId, keyId) {
      await find(organizationId, userId, keyId);
      await revokeApiKey(database, organizationId, keyId);
      return find(organizationId, userId, keyId);
    },
  };
}

async function listUsers(
  database: Kysely<Tables>,
  organizationId: string,
  query: ListQuery & { readonly externalId?: string },
): Promise<ListPage<User>> {
  let select = database
    .selectFrom("users")
    .selectAll()
    .select(positionColumn.as("list_position"))
    .where("organization_id", "=", organizationId)
    .where(listCondition(query));
  if (query.externalId !== undefined) select = select.where("external_id", "=", query.externalId);
  const rows = await select
    .orderBy("created_at", readOrder(query))
    .orderBy("id", readOrder(query))
    .limit(query.limit + 1)
    .execute();
  const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  return { ...page, rows: page.rows.map(toUser) };
}

/** @throws Problem `not_found` */
async function findUser(
  database: Kysely<Tables>,
  organizationId: string,
  userId: string,
): Promise<Selectable<UserTable>> {
  const row = await database
    .selectFrom("users")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("id", "=", userId)
    .executeTakeFirst();
  if (row !== undefined) return row;
  throw new Problem("not_found", "There is no user with the id in this path.", "List them with GET /v1/x/users.");
}

async function changeUser(
  database: Kysely<Tables>,
  organizationId: string,
  userId: string,
  change: { readonly name: string } | { readonly archived_at: Date },
): Promise<void> {
  await database
    .updateTable("users")
    .set({ ...change, updated_at: new Date() })
    .where("organization_id", "=", organizationId)
    .where("id", "=", userId)
    .execute();
}

function archivedUser(): Problem {
  return new Problem("invalid_request", "This user is archived.", "Create another one.");
}

function toUser(row: Selectable<UserTable>): User {
  return {
    id: row.id,
    type: "user",
    external_id: row.external_id,
    name: row.name,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    archived_at: row.archived_at?.toISOString() ?? null,
  };
}

type KeyRow = Pick<Selectable<ApiKeyTable>, "id" | "name" | "scopes" | "created_at" | "last_used_at" | "revoked_at">;

function toKey(userId: string, row: KeyRow): UserKey {
  return {
    id: row.id,
    type: "api_key",
    user_id: userId,
    name: row.name,
    scopes: row.scopes,
    created_at: row.created_at.toISOString(),
    last_used_at: row.last_used_at?.toISOString() ?? null,
    revoked_at: row.revoked_at?.toISOString() ?? null,
  };
}
