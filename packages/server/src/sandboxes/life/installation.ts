/** Which installation this is: sandboxes carry its name, so that a reconciler judges no other's. @module */
import { randomBytes } from "node:crypto";
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";

/** The same for every server of one database; written by the first. */
export async function readInstallation(database: Kysely<Tables>): Promise<string> {
  await database
    .insertInto("installation")
    .values({ id: `inst_${randomBytes(10).toString("hex")}` })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await database.selectFrom("installation").select("id").executeTakeFirstOrThrow();
  return row.id;
}
