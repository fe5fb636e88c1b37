/** Organizations: everything belongs to one. @module */
import { createId } from "@exoloop/protocol/ids";
import { sql } from "kysely";
import { type Database, withTransaction } from "../db/database.ts";
import { createApiKey } from "./api-keys.ts";

export interface FirstOrganization {
  readonly organizationId: string;
  /** The admin key, when the organization was made now; to be shown once. */
  readonly apiKey: string | null;
}

/** Any number of our own: makes the first starts of several processes take turns. */
const firstOrganizationLock = 7_301_844_217;

/** Makes the first organization with one admin key, or neither; when there is an organization already, returns the oldest. */
export function createFirstOrganization(database: Database, name: string = "Default"): Promise<FirstOrganization> {
  return withTransaction(database, async (transaction) => {
    await sql`select pg_advisory_xact_lock(${firstOrganizationLock})`.execute(transaction);
    const oldest = await transaction
      .selectFrom("organizations")
      .select("id")
      .orderBy("created_at")
      .orderBy("id")
      .executeTakeFirst();
    if (oldest !== undefined) return { organizationId: oldest.id, apiKey: null };
    const organizationId = createId("organization");
    await transaction.insertInto("organizations").values({ id: organizationId, name }).execute();
    const { apiKey } = await createApiKey(transaction, { organizationId, name: "First admin key", scopes: ["admin"] });
    return { organizationId, apiKey };
  });
}
