import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { afterCommit, openDatabase, withTransaction } from "./database.ts";
import { seedSessions } from "./seed.ts";
import { createTestDatabase, type TestDatabase } from "./testing.ts";

let postgres: TestDatabase;
beforeAll(async () => {
  postgres = await createTestDatabase();
});
afterAll(() => postgres.drop());

test("bigint columns are read as numbers", async () => {
  await seedSessions(postgres.database, 1);
  const row = await postgres.database.selectFrom("sessions").select(["epoch", "head_seq"]).executeTakeFirstOrThrow();
  expect(row).toEqual({ epoch: 0, head_seq: 0 });
  const { rows } = await sql<{ count: number }>`select count(*) as count from sessions`.execute(postgres.database);
  expect(rows[0]?.count).toBe(1);
});

test("a hook runs after the commit, when others see the rows, and not after a rollback", async () => {
  const seen: string[] = [];
  const insert = (name: string, fail: boolean) =>
    withTransaction(postgres.database, async (transaction) => {
      await transaction
        .insertInto("organizations")
        .values({ id: `org_${name}`, name })
        .execute();
      await afterCommit(transaction, () => seen.push(name));
      expect(seen).not.toContain(name);
      if (fail) throw new Error("roll back");
    });
  await insert("one", false);
  await expect(insert("two", true)).rejects.toThrow("roll back");
  // Each on the connection of an earlier one: no hook is left over.
  await insert("three", false);
  expect(seen).toEqual(["one", "three"]);
});

test("a hook is not run when the commit itself fails", async () => {
  const seen: string[] = [];
  const aborted = withTransaction(postgres.database, async (transaction) => {
    await afterCommit(transaction, () => seen.push("no"));
    await sql`select 1 / 0`.execute(transaction).catch(() => undefined);
  });
  await expect(aborted).rejects.toThrow();
  expect(seen).toEqual([]);
});

test("an idle connection that is terminated does not end the process", async () => {
  const lost: string[] = [];
  const log = { warn: (_: object, message: string) => void lost.push(message) };
  const database = await openDatabase(postgres.url, { maximumConnections: 1, applicationName: "exoloop idle", log });
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'exoloop idle'`.execute(
    postgres.database,
  );
  for (const deadline = Date.now() + 5000; lost.length === 0 && Date.now() < deadline;)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(lost).toEqual(["an idle database connection broke"]);
  await sql`select 1`.execute(database);
  await database.destroy();
});

test("a connection that is terminated between two queries of a transaction fails it, and does not end the process", async () => {
  const broken = withTransaction(postgres.database, async (transaction) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(transaction);
    await sql`select pg_terminate_backend(${rows[0]?.pid ?? 0}, 5000)`.execute(postgres.database);
    // The connection says so only when its end has been read.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await sql`select 1`.execute(transaction);
  });
  await expect(broken).rejects.toThrow();
  const { rows } = await sql<{ one: number }>`select 1 as one`.execute(postgres.database);
  expect(rows).toEqual([{ one: 1 }]);
});
