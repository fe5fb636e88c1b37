import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEnvironmentRepository } from "../agents/environments.ts";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { authenticate, createApiKey, createAuthenticator, revokeApiKey } from "./api-keys.ts";
import { createFirstOrganization } from "./organizations.ts";

let postgres: TestDatabase;
beforeAll(async () => {
  postgres = await createTestDatabase();
});
afterAll(() => postgres.drop());

test("eight first starts at once make one organization and one admin key", async () => {
  const starts = await Promise.all(Array.from({ length: 8 }, () => createFirstOrganization(postgres.database)));
  expect(new Set(starts.map((start) => start.organizationId)).size).toBe(1);
  const keys = starts.flatMap((start) => start.apiKey ?? []);
  expect(keys).toHaveLength(1);
  expect(await authenticate(postgres.database, keys[0] ?? "")).toEqual({
    organizationId: starts[0]?.organizationId,
    apiKeyId: expect.stringMatching(/^key_/),
    scopes: ["admin"],
  });
});

async function newKey() {
  const { organizationId } = await createFirstOrganization(postgres.database);
  return {
    organizationId,
    ...(await createApiKey(postgres.database, { organizationId, name: "test", scopes: ["sessions"] })),
  };
}

test("a key has 160 bits, is stored as a hash only, and any other text is nobody's", async () => {
  const { apiKey, id } = await newKey();
  expect(apiKey).toMatch(/^exo_[0-9a-z]{32}$/);
  const { rows } = await sql<{ text: string }>`select api_keys::text as text from api_keys`.execute(postgres.database);
  expect(JSON.stringify(rows)).not.toContain(apiKey.slice(4));
  expect((await authenticate(postgres.database, apiKey))?.apiKeyId).toBe(id);
  for (const wrong of [
    "",
    "exo_",
    apiKey.toUpperCase(),
    `${apiKey}0`,
    apiKey.slice(0, -1),
    `${apiKey.slice(0, -1)}${apiKey.endsWith("0") ? "1" : "0"}`,
    "x' or 1=1 --",
  ]) {
    expect(await authenticate(postgres.database, wrong)).toBeNull();
  }
});

test("a revoked key is nobody's, and only its own organization revokes it", async () => {
  const { apiKey, id, organizationId } = await newKey();
  expect(await revokeApiKey(postgres.database, "org_other", id)).toBe(false);
  expect(await authenticate(postgres.database, apiKey)).not.toBeNull();
  expect(await revokeApiKey(postgres.database, organizationId, id)).toBe(true);
  expect(await revokeApiKey(postgres.database, organizationId, id)).toBe(false);
  expect(await authenticate(postgres.database, apiKey)).toBeNull();
});

test("the time of the last use is noted, at most once a minute", async () => {
  const { apiKey, id } = await newKey();
  const read = async () =>
    (
      await postgres.database
        .selectFrom("api_keys")
        .select("last_used_at")
        .where("id", "=", id)
        .executeTakeFirstOrThrow()
    ).last_used_at;
  expect(await read()).toBeNull();
  await authenticate(postgres.database, apiKey);
  const first = await read();
  expect(first).toBeInstanceOf(Date);
  await authenticate(postgres.database, apiKey);
  expect(await read()).toEqual(first);
  await sql`update api_keys set last_used_at = now() - interval '2 minutes' where id = ${id}`.execute(
    postgres.database,
  );
  await authenticate(postgres.database, apiKey);
  expect((await read())?.getTime()).toBeGreaterThanOrEqual(first?.getTime() ?? Infinity);
});

test("the authenticator asks the database once in its span, and forgets", async () => {
  const { apiKey, id, organizationId } = await newKey();
  const remembering = createAuthenticator(postgres.database, { rememberMilliseconds: 60_000 });
  const forgetful = createAuthenticator(postgres.database, { rememberMilliseconds: 0 });
  const [first, second] = [remembering(apiKey), remembering(apiKey)];
  expect(second).toBe(first);
  expect((await first)?.apiKeyId).toBe(id);
  await revokeApiKey(postgres.database, organizationId, id);
  expect((await remembering(apiKey))?.apiKeyId).toBe(id);
  expect(await forgetful(apiKey)).toBeNull();
});

test("the authenticator's memory is bounded, and an outage is not remembered", async () => {
  const { apiKey, id } = await newKey();
  const authenticator = createAuthenticator(postgres.database, { maximumRemembered: 1 });
  const first = authenticator(apiKey);
  await authenticator(`exo_${"0".repeat(32)}`);
  expect(authenticator(apiKey)).not.toBe(first);

  const other = createAuthenticator(postgres.database);
  await sql`alter table api_keys rename to api_keys_away`.execute(postgres.database);
  await expect(other(apiKey)).rejects.toThrow();
  await sql`alter table api_keys_away rename to api_keys`.execute(postgres.database);
  expect((await other(apiKey))?.apiKeyId).toBe(id);
});

test("a worker's key says which environment it is for, and ends with it", async () => {
  const { database } = postgres;
  const { organizationId } = await createFirstOrganization(database);
  const environment = await createEnvironmentRepository(database).create(organizationId, { name: "workers" });
  const environmentId = environment.id;
  const request = { organizationId, name: "worker", scopes: ["worker"], environmentId } as const;
  const { apiKey, id } = await createApiKey(database, request);
  expect(await authenticate(database, apiKey)).toEqual({
    organizationId,
    apiKeyId: id,
    scopes: ["worker"],
    environment: { environmentId },
  });
  await createEnvironmentRepository(database).delete(organizationId, environmentId);
  expect(await authenticate(database, apiKey)).toBeNull();
});
