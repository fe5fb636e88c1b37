/**
 * Idempotency-Key: a POST that a client sends again, because it saw no answer, is done once and answered alike. The
 * header's form follows draft-ietf-httpapi-idempotency-key-header; keys are remembered for a day.
 * @module
 */
import { createHash } from "node:crypto";
import type { Kysely } from "kysely";
import { storableJson } from "../db/storable-json.ts";
import type { IdempotentRequestTable, Tables } from "../db/tables.ts";
import { Problem, type ProblemCode, problems } from "../errors.ts";
import type { Principal } from "../orgs/principal.ts";

/** A request with its key. `request` is what must be the same when the key is. */
export interface KeyedRequest {
  readonly key: string;
  readonly request: readonly unknown[];
}

/**
 * Runs `handle` unless a request with this key has run: then its answer is given, also where it was a refusal.
 * @throws Problem `idempotency_key_reused`, `idempotency_in_progress`, `idempotency_outcome_unknown`
 */
export type RequestOnce = <Answer>(
  principal: Principal,
  request: KeyedRequest,
  handle: () => Promise<Answer>,
) => Promise<Answer>;

const longestKey = 255;

/** Null when there is none. @throws Problem for a key that is empty, too long, or not printable ASCII. */
export function readIdempotencyKey(headers: Headers): string | null {
  const key = headers.get("idempotency-key");
  if (key === null || (key !== "" && key.length <= longestKey && /^[\x21-\x7e]+$/.test(key))) return key;
  throw new Problem(
    "invalid_request",
    `Idempotency-Key: 1 to ${longestKey} printable ASCII characters without spaces.`,
    "A random UUID is a good key.",
  );
}

/** Longer than any request runs: one that began before has lost its process. */
const longestRunMs = 15 * 60_000;
const memoryMs = 24 * 60 * 60_000;

export function createRequestOnce(database: Kysely<Tables>): RequestOnce {
  return async (principal, { key, request }, handle) => {
    const row = {
      organization_id: principal.organizationId,
      // Of the caller's own: what one key was answered is not shown to another.
      key_hash: sha256(`${principal.apiKeyId} ${key}`),
      fingerprint: sha256(JSON.stringify(request)),
    };
    const earlier = await begin(database, row);
    if (earlier !== null) return replay(earlier, row.fingerprint) as Awaited<ReturnType<typeof handle>>;
    try {
      const answer = await handle();
      if (!(answer instanceof Response)) await finish(database, row, 200, answer);
      return answer;
    } catch (error) {
      // A refusal changed nothing and is final; "not now" changed nothing either, and may be asked again. After a fault
      // of ours nobody knows: the row says so by staying open.
      if (error instanceof Problem && error.status < 500) await finish(database, row, error.status, refusalOf(error));
      else if (error instanceof Problem) await forget(database, row);
      throw error;
    }
  };
}

type RequestKey = Pick<IdempotentRequestTable, "organization_id" | "key_hash" | "fingerprint">;

interface EarlierRequest {
  readonly fingerprint: Buffer;
  readonly status: number | null;
  readonly answer: unknown;
  readonly created_at: Date;
}

/** Null when this request is the first with its key, which is then taken. */
async function begin(database: Kysely<Tables>, row: RequestKey): Promise<EarlierRequest | null> {
  // All others that old are deleted by the retention.
  await database
    .deleteFrom("idempotent_requests")
    .where("organization_id", "=", row.organization_id)
    .where("key_hash", "=", row.key_hash)
    .where("created_at", "<", new Date(Date.now() - memoryMs))
    .execute();
  const taken = await database
    .insertInto("idempotent_requests")
    .values({ ...row, status: null, answer: "null" })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (taken.numInsertedOrUpdatedRows === 1n) return null;
  const earlier = await database
    .selectFrom("idempotent_requests")
    .select(["fingerprint", "status", "answer", "created_at"])
    .where("organization_id", "=", row.organization_id)
    .where("key_hash", "=", row.key_hash)
    .executeTakeFirst();
  return earlier ?? begin(database, row);
}

function replay(earlier: EarlierRequest, fingerprint: Buffer): unknown {
  if (!earlier.fingerprint.equals(fingerprint)) {
    throw new Problem(
      "idempotency_key_reused",
      "Idempotency-Key: this key was sent with another request.",
      "Use a new key for each request.",
    );
  }
  if (earlier.status === 200) return earlier.answer;
  if (earlier.status !== null) throw toProblem(earlier.answer);
  if (Date.now() - earlier.created_at.getTime() < longestRunMs) {
    throw new Problem(
      "idempotency_in_progress",
      "A request with this Idempotency-Key is being worked on, or failed.",
      "Look whether it had an effect before you send it with a new key.",
    );
  }
  throw new Problem(
    "idempotency_outcome_unknown",
    "A request with this Idempotency-Key began, and its outcome is unknown.",
    "Look whether it had an effect; send it with a new key if it had none.",
  );
}

async function finish(database: Kysely<Tables>, row: RequestKey, status: number, answer: unknown): Promise<void> {
  await database
    .updateTable("idempotent_requests")
    .set({ status, answer: storableJson(answer) })
    .where("organization_id", "=", row.organization_id)
    .where("key_hash", "=", row.key_hash)
    .execute();
}

async function forget(database: Kysely<Tables>, row: RequestKey): Promise<void> {
  await database
    .deleteFrom("idempotent_requests")
    .where("organization_id", "=", row.organization_id)
    .where("key_hash", "=", row.key_hash)
    .execute();
}

function refusalOf({ code, message, hint, details }: Problem) {
  return { code, message, hint, details };
}

function toProblem(stored: unknown): Problem {
  const { code, message, hint, details } = stored as {
    code: string;
    message: string;
    hint?: string;
    details?: Readonly<Record<string, unknown>>;
  };
  const known = Object.hasOwn(problems, code) ? (code as ProblemCode) : "invalid_request";
  return new Problem(known, message, hint, details);
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
