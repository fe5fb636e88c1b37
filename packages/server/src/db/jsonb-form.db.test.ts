import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonbForm } from "./jsonb-form.ts";
import { storableJson } from "./storable-json.ts";
import { createTestDatabase, type TestDatabase } from "./testing.ts";

let postgres: TestDatabase;
beforeAll(async () => {
  postgres = await createTestDatabase();
}, 60_000);
afterAll(() => postgres.drop());

test("is what Postgres gives back, to the letter", async () => {
  const value = {
    type: "text",
    id: 1,
    é: 1,
    ab: [{ z: 1, aa: 2, Z: "\0" }, null, 1.5, 1e21],
    äö: { long_key: 1, "": 0, k: -0 },
    "10": 1,
    "9": 2,
    undefined,
  };
  const { rows } = await sql<{ value: object }>`select ${storableJson(value)}::jsonb as value`.execute(
    postgres.database,
  );
  expect(JSON.stringify(jsonbForm(value))).toBe(JSON.stringify(rows[0]?.value));
});
