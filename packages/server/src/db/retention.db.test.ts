import { createHash } from "node:crypto";
import { sql } from "kysely";
import { afterEach, beforeEach, expect, test } from "vitest";
import { deleteExpired } from "./retention.ts";
import { seedSessions } from "./seed.ts";
import { createTestDatabase, type TestDatabase } from "./testing.ts";

let postgres: TestDatabase;
beforeEach(async () => {
  postgres = await createTestDatabase();
});
afterEach(() => postgres.drop());

const hash = (text: string) => createHash("sha256").update(text).digest();

async function remember(organizationId: string, count: number, age: string) {
  await sql`
    insert into idempotent_requests (organization_id, key_hash, fingerprint, created_at)
    select ${organizationId}, sha256(convert_to(${age} || position, 'UTF8')), ${hash("request")}, now() - ${age}::interval
    from generate_series(1, ${count}::int) as position`.execute(postgres.database);
}
async function left(): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from idempotent_requests`.execute(
    postgres.database,
  );
  return rows[0]?.count ?? 0;
}

test("what is older than a day goes, in bounded steps, and the rest stays; two at once delete each row once", async () => {
  const { database } = postgres;
  const { organizationId } = await seedSessions(database, 1);
  await remember(organizationId, 2500, "25 hours");
  await remember(organizationId, 10, "23 hours");
  const signal = new AbortController().signal;
  const deleted = await Promise.all([deleteExpired(database, signal), deleteExpired(database, signal)]);
  expect(deleted[0] + deleted[1]).toBe(2500);
  expect(await left()).toBe(10);
});

test("a worker that stops deletes no more", async () => {
  const { database } = postgres;
  const { organizationId } = await seedSessions(database, 1);
  await remember(organizationId, 10, "25 hours");
  expect(await deleteExpired(database, AbortSignal.abort())).toBe(0);
  expect(await left()).toBe(10);
});
