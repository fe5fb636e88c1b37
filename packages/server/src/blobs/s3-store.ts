/**
 * Blobs in a bucket of an S3-compatible store. Every upload carries its SHA-256 signed, so that the store refuses what
 * was damaged on its way; every download is checked against its name. What may pass is tried again.
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { AwsClient } from "aws4fetch";
import type { S3Location } from "./location.ts";
import { readListing } from "./s3-listing.ts";
import {
  BlobError,
  type BlobStore,
  maximumBlobBytes,
  requireBlobKey,
  requireBlobSize,
  requireContent,
  sha256Of,
} from "./store.ts";
import { createVerifiedBlobs, type VerifiedBlobs } from "./verified-blobs.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3StoreOptions {
  readonly location: S3Location;
  readonly credentials: S3Credentials;
  /** Milliseconds before the second attempt; doubled before each further one. Default 200. */
  readonly retryAfterMs?: number;
  /** Longest time of one attempt, besides a second for each megabyte. Milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

const attempts = 4;
/** Slowest connection that is waited for. */
const bytesPerMs = 1_000;

/** What a request is, and what it is for: the reason stands in errors. */
interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly sha256?: string;
}

interface S3Answer {
  readonly status: number;
  /** Of the blob, also where it was not asked for itself. Null: not told. */
  readonly size: number | null;
  readonly body: Uint8Array;
}

/** @example createS3BlobStore({ location: { bucket: "blobs", prefix: "", region: "eu-central-1", endpoint: null }, credentials }) */
export function createS3BlobStore(options: S3StoreOptions): BlobStore {
  const send = createSender(options);
  const { prefix } = options.location;
  const folderOf = (organizationId: string): string => {
    requireBlobKey(organizationId);
    return `${prefix}${organizationId}/`;
  };
  const keyOf = (organizationId: string, sha256: string): string => {
    requireBlobKey(organizationId, sha256);
    return `${folderOf(organizationId)}${sha256}`;
  };
  const verified = createVerifiedBlobs();
  return {
    async put(organizationId, content) {
      requireBlobSize(content.length);
      const sha256 = sha256Of(content);
      const key = keyOf(organizationId, sha256);
      const existed = await holds(send, verified, key, content);
      if (!existed) await send({ method: "PUT", key, body: content, sha256 }, requireSuccess);
      verified.add(key);
      return { sha256, size: content.length, existed };
    },
    async get(organizationId, sha256) {
      const key = keyOf(organizationId, sha256);
      verified.delete(key);
      const content = await send({ method: "GET", key }, (answer) => readContent(answer, sha256));
      verified.add(key);
      return content;
    },
    has: async (organizationId, sha256) => (await sizeOf(send, keyOf(organizationId, sha256))) !== null,
    delete: (organizationId, sha256) =>
      send({ method: "DELETE", key: keyOf(organizationId, sha256) }, (answer) => {
        if (answer.status !== 404) requireSuccess(answer);
      }),
    async *list(organizationId) {
      const folder = folderOf(organizationId);
      for (let token: string | null | undefined; token !== null;) {
        const query = {
          "list-type": "2",
          prefix: folder,
          ...(token === undefined ? {} : { "continuation-token": token }),
        };
        const page = await send({ method: "GET", key: "", query }, (answer) => {
          requireSuccess(answer);
          return readListing(Buffer.from(answer.body).toString("utf8"), folder);
        });
        yield* page.blobs;
        token = page.next;
      }
    },
  };
}

/** Null: it is not there. */
function sizeOf(send: Send, key: string): Promise<number | null> {
  return send({ method: "HEAD", key }, (answer) => {
    if (answer.status === 404) return null;
    requireSuccess(answer);
    return answer.size ?? -1;
  });
}

/**
 * There are stores that keep half of an upload that broke off, under its key, and checksums that they tell are those of
 * what was sent, not of what is there.
 */
async function holds(send: Send, verified: VerifiedBlobs, key: string, content: Uint8Array): Promise<boolean> {
  if ((await sizeOf(send, key)) !== content.length) return false;
  if (verified.has(key)) return true;
  return send({ method: "GET", key }, (answer) => {
    if (answer.status === 404) return false;
    requireSuccess(answer);
    return Buffer.compare(answer.body, content) === 0;
  });
}

/** @throws BlobError */
function readContent(answer: S3Answer, sha256: string): Uint8Array {
  if (answer.status === 404 && codeOf(answer) !== "NoSuchBucket")
    throw new BlobError("missing", `blob ${sha256} is missing from the store`);
  requireSuccess(answer);
  requireContent(sha256, answer.body);
  return answer.body;
}

/** Only the code: a message may repeat what was signed. */
function codeOf({ body }: S3Answer): string | undefined {
  return /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(Buffer.from(body.subarray(0, 4096)).toString("utf8"))?.[1];
}

function requireSuccess(answer: S3Answer): void {
  const { status } = answer;
  if (status >= 200 && status < 300) return;
  const code = codeOf(answer);
  const passing = status === 408 || status === 429 || status >= 500;
  const said = code === undefined ? `${status}` : `${status} ${code}`;
  throw new BlobError(passing ? "unreachable" : "refused", `the blob store answered ${said}${adviceFor(status)}`);
}

function adviceFor(status: number): string {
  if (status === 403) return ": check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do with the bucket";
  if (status === 404) return ": check the bucket's name in EXOLOOP_BLOBS";
  if (status === 301 || status === 400) return ": check region and endpoint in EXOLOOP_BLOBS";
  return "";
}

/** `read` turns the answer into a result, or throws; what is damaged or unreachable is asked for again. */
type Send = <Result>(request: S3Request, read: (answer: S3Answer) => Result) => Promise<Result>;

function createSender({ location, credentials, retryAfterMs = 200, timeoutMs = 10_000 }: S3StoreOptions): Send {
  // Its own attempts would not see an answer that breaks off.
  const client = new AwsClient({ ...credentials, service: "s3", region: location.region, retries: 0 });
  const { bucket, region, endpoint } = location;
  // Other stores than Amazon's rarely have a host name for each bucket.
  const base = endpoint === null ? `https://${bucket}.s3.${region}.amazonaws.com` : `${endpoint}/${bucket}`;

  const once = async (request: S3Request): Promise<S3Answer> => {
    const url = new URL(request.key === "" ? base : `${base}/${request.key}`);
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
    const signed = await client.sign(url.href, {
      method: request.method,
      ...(request.body === undefined ? {} : { body: new Uint8Array(request.body) }),
      headers: { "x-amz-content-sha256": request.sha256 ?? emptySha256 },
    });
    const largest = request.method === "GET" ? maximumBlobBytes / 4 : (request.body?.length ?? 0);
    const patience = timeoutMs + Math.ceil(largest / bytesPerMs);
    const response = await fetch(signed, { signal: AbortSignal.timeout(patience), redirect: "manual" });
    const told = response.headers.get("content-length");
    return { status: response.status, size: told === null ? null : Number(told), body: await readBounded(response) };
  };

  return async (request, read) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return read(await once(request));
      } catch (error) {
        const problem = toBlobError(error);
        const passing = problem.code === "unreachable" || problem.code === "damaged";
        if (!passing || attempt === attempts) throw problem;
        await delay(retryAfterMs * 2 ** (attempt - 1) * (0.5 + Math.random()));
      }
    }
  };
}

const emptySha256 = sha256Of(new Uint8Array());

async function readBounded(response: Response): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    requireBlobSize(size);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}

function toBlobError(error: unknown): BlobError {
  if (error instanceof BlobError) return error;
  // `fetch` hides the reason in `cause`.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason =
    cause instanceof Error && "code" in cause ? String(cause.code) : cause instanceof Error ? cause.name : "";
  return new BlobError("unreachable", `the blob store cannot be reached (${reason})`);
}
