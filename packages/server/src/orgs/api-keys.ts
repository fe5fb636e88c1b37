/**
 * API keys: shown once, stored as a hash, limited by scopes. A key is 160 random bits, so one round of SHA-256 protects
 * it as well as a slow hash would, and a lookup by hash takes the same time for every wrong key.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { createId } from "@exoloop/protocol/ids";
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Principal } from "./principal.ts";
import { authenticateWorkToken, isWorkToken } from "./work-tokens.ts";

/**
 * `admin` may do everything in its organization; `sessions` may use agents and run sessions; `worker` may take the work
 * of the environment that the key belongs to, and is of no use to any other key.
 */
export const apiKeyScopes = ["admin", "sessions", "worker"] as const;
export type ApiKeyScope = (typeof apiKeyScopes)[number];

const keyPrefix = "exo_";
const keyPattern = /^exo_[0-9a-hjkmnp-tv-z]{32}$/;
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * Makes a key. `apiKey` is the only copy of it there will ever be.
 * @example const { apiKey } = await createApiKey(database, { organizationId, name: "CI", scopes: ["sessions"] });
 */
export async function createApiKey(
  database: Kysely<Tables>,
  request: {
    readonly organizationId: string;
    readonly name: string;
    readonly scopes: readonly ApiKeyScope[];
    /** The key is a worker's, and opens nothing but this environment's work. */
    readonly environmentId?: string;
    readonly userId?: string;
  },
): Promise<{ readonly id: string; readonly apiKey: string }> {
  const id = createId("apiKey");
  const apiKey = generateKey();
  await database
    .insertInto("api_keys")
    .values({
      id,
      organization_id: request.organizationId,
      name: request.name,
      key_hash: hashKey(apiKey),
      scopes: [...request.scopes],
      environment_id: request.environmentId ?? null,
      user_id: request.userId ?? null,
    })
    .execute();
  return { id, apiKey };
}

/** Ends a key for good; false when the organization has no such key that is still valid. */
export async function revokeApiKey(database: Kysely<Tables>, organizationId: string, id: string): Promise<boolean> {
  const result = await database
    .updateTable("api_keys")
    .set({ revoked_at: sql<Date>`now()` })
    .where("id", "=", id)
    .where("organization_id", "=", organizationId)
    .where("revoked_at", "is", null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/**
 * Whose key this is; null when it is unknown or revoked, or its person is archived. Notes when the key was last used, at most once a minute. For
 * every request use `createAuthenticator`.
 */
export async function authenticate(database: Kysely<Tables>, apiKey: string): Promise<Principal | null> {
  if (isWorkToken(apiKey)) return authenticateWorkToken(database, apiKey);
  if (!keyPattern.test(apiKey)) return null;
  const { rows } = await sql<KeyRow>`
    with found as (
      select id, organization_id, scopes, environment_id, user_id, last_used_at from api_keys
      where key_hash = ${hashKey(apiKey)} and revoked_at is null
        and not exists (select from users where users.id = api_keys.user_id and archived_at is not null)
    ), used as (
      update api_keys set last_used_at = now() from found
      where api_keys.id = found.id and (found.last_used_at is null or found.last_used_at < now() - interval '1 minute')
    )
    select id, organization_id, scopes, environment_id, user_id from found`.execute(database);
  const row = rows[0];
  if (row === undefined) return null;
  return {
    organizationId: row.organization_id,
    apiKeyId: row.id,
    scopes: row.scopes,
    ...(row.environment_id === null ? {} : { environment: { environmentId: row.environment_id } }),
    ...(row.user_id === null ? {} : { userId: row.user_id }),
  };
}

interface KeyRow {
  readonly id: string;
  readonly organization_id: string;
  readonly scopes: string[];
  readonly environment_id: string | null;
  readonly user_id: string | null;
}

export interface AuthenticatorOptions {
  /** How long an answer is remembered, and so how long a revoked key may still work. */
  readonly rememberMilliseconds?: number;
  /** A stranger's keys must not fill the memory. */
  readonly maximumRemembered?: number;
}

/** `authenticate` with a short memory: a busy client costs one query every few seconds. */
export function createAuthenticator(
  database: Kysely<Tables>,
  options: AuthenticatorOptions = {},
): (apiKey: string) => Promise<Principal | null> {
  const rememberMilliseconds = options.rememberMilliseconds ?? 5000;
  const maximumRemembered = options.maximumRemembered ?? 1000;
  // By hash, so that no key lies in memory longer than its request.
  const remembered = new Map<string, { readonly until: number; readonly answer: Promise<Principal | null> }>();
  return (apiKey) => {
    // Not remembered: that another worker has the item now must be known at once.
    if (isWorkToken(apiKey)) return authenticateWorkToken(database, apiKey);
    if (!keyPattern.test(apiKey)) return Promise.resolve(null);
    const hash = hashKey(apiKey).toString("base64");
    const known = remembered.get(hash);
    if (known !== undefined && known.until > Date.now()) return known.answer;
    remembered.delete(hash);
    const answer = authenticate(database, apiKey);
    remembered.set(hash, { until: Date.now() + rememberMilliseconds, answer });
    // A map keeps the order of insertion: the first is the oldest.
    const oldest = remembered.keys().next();
    if (remembered.size > maximumRemembered && oldest.done !== true) remembered.delete(oldest.value);
    // An outage is not an answer.
    answer.catch(() => remembered.delete(hash));
    return answer;
  };
}

function generateKey(): string {
  let key = keyPrefix;
  let bits = 0n;
  for (const byte of randomBytes(20)) bits = (bits << 8n) | BigInt(byte);
  for (let position = 155n; position >= 0n; position -= 5n) key += alphabet.charAt(Number((bits >> position) & 31n));
  return key;
}

function hashKey(apiKey: string): Buffer {
  return createHash("sha256").update(apiKey).digest();
}
