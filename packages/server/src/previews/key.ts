/** The key that signs preview URLs: one for all servers of a database, made by the first that needs it. @module */
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import type { Database } from "../db/database.ts";
import { readInstallation } from "../sandboxes/life/installation.ts";

/** Whoever deletes it from the database revokes every preview URL, when the servers have been started again. */
export function createPreviewKey(database: Database): () => Promise<Uint8Array> {
  let key: Uint8Array | undefined;
  return async () => (key ??= await readKey(database));
}

async function readKey(database: Database): Promise<Uint8Array> {
  await readInstallation(database);
  const { rows } = await sql<{ preview_key: Buffer }>`
    update installation set preview_key = coalesce(preview_key, ${randomBytes(32)}) returning preview_key`.execute(
    database,
  );
  const row = rows[0];
  if (row === undefined) throw new Error("the key of preview URLs was not written");
  return row.preview_key;
}
