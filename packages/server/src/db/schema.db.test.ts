import { afterAll, beforeAll, expect, test } from "vitest";
import { readManifest } from "./manifest.ts";
import committed from "./schema.json" with { type: "json" };
import type { Tables } from "./tables.ts";
import { createTestDatabase, type TestDatabase } from "./testing.ts";

let postgres: TestDatabase;
beforeAll(async () => {
  postgres = await createTestDatabase();
});
afterAll(() => postgres.drop());

/** Never, when both have the same names; else the names that only one of them has. */
type Difference<Left, Right> = Exclude<Left, Right> | Exclude<Right, Left>;
type Committed = typeof committed;
type TableDifference = Difference<keyof Committed, keyof Tables>;
type ColumnDifference = {
  [Table in keyof Committed & keyof Tables]: Difference<keyof Committed[Table]["columns"], keyof Tables[Table]>;
}[keyof Committed & keyof Tables];

test("the migrated schema is the committed one (else: node packages/server/src/db/manifest.ts --write)", async () => {
  expect(await readManifest(postgres.database)).toEqual(committed);
});

test("tables.ts has exactly the tables and columns of the manifest", () => {
  // Judged by the compiler, which names what is missing or surplus.
  const sameTables: [TableDifference] extends [never] ? true : TableDifference = true;
  const sameColumns: [ColumnDifference] extends [never] ? true : ColumnDifference = true;
  expect([sameTables, sameColumns]).toEqual([true, true]);
});

/** What belongs to the server as a whole, and to nobody in it. */
const serversOwn = ["installation", "organizations", "periodic_looks"];

test("every table but the server's own names the organization of each row", async () => {
  const tables = Object.entries(await readManifest(postgres.database)).filter(([name]) => !serversOwn.includes(name));
  const without = tables.filter(([, table]) => table.columns.organization_id !== "text not null");
  expect(without.map(([name]) => name)).toEqual([]);
});
