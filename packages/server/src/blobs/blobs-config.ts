/** Where blobs are, and with which keys, as the environment says it. @module */
import { type BlobLocation, type DirectoryLocation, parseBlobLocation, type S3Location } from "./location.ts";

/** Hidden: a text that is only had by asking for it. */
export type BlobsConfig<Hidden> =
  | { readonly location: DirectoryLocation }
  | { readonly location: S3Location; readonly credentials: BucketCredentials<Hidden> };

export interface BucketCredentials<Hidden> {
  readonly accessKeyId: Hidden;
  readonly secretAccessKey: Hidden;
  readonly sessionToken: Hidden | null;
}

/** Reads one variable; a problem with it is added to the list. */
interface Reader<Hidden> {
  text(name: string): string | null;
  secret(name: string): Hidden | null;
}

/**
 * Reads EXOLOOP_BLOBS; `standard` is the directory without it. The credentials have the names that every program for S3
 * knows; they are asked for only where a bucket is used.
 */
export function readBlobsConfig<Hidden>(
  read: Reader<Hidden>,
  standard: string,
  problems: string[],
): BlobsConfig<Hidden> {
  const fallback = { location: { type: "directory", path: standard } } as const;
  const text = read.text("EXOLOOP_BLOBS");
  if (text === null) return fallback;
  const location: BlobLocation | string = parseBlobLocation(text);
  if (typeof location === "string") {
    // Not shown: an address may hold a key.
    problems.push(`EXOLOOP_BLOBS cannot be used: ${location}.`);
    return fallback;
  }
  if (location.type === "directory") return { location };
  const [accessKeyId, secretAccessKey] = [read.secret("AWS_ACCESS_KEY_ID"), read.secret("AWS_SECRET_ACCESS_KEY")];
  if (accessKeyId === null) problems.push("AWS_ACCESS_KEY_ID is not set: EXOLOOP_BLOBS names a bucket.");
  if (secretAccessKey === null) problems.push("AWS_SECRET_ACCESS_KEY is not set: EXOLOOP_BLOBS names a bucket.");
  if (accessKeyId === null || secretAccessKey === null) return fallback;
  return { location, credentials: { accessKeyId, secretAccessKey, sessionToken: read.secret("AWS_SESSION_TOKEN") } };
}
