/**
 * Blobs: immutable bytes under their SHA-256, keyed by organization, so that one organization can neither see nor probe
 * what another has stored. A blob is whole or absent. It is small enough to be held in memory: who stores more makes
 * several of it.
 * @module
 */
import { createHash } from "node:crypto";

/** Largest blob. */
export const maximumBlobBytes = 64 * 1024 ** 2;

export interface StoredBlob {
  /** SHA-256 of the content, in hexadecimal. */
  readonly sha256: string;
  readonly size: number;
  /**
   * It was there before and may be old: a collector that does not know yet who uses it may delete it. Who stores it
   * asks {@link BlobStore.has} again once its use is written down.
   */
  readonly existed: boolean;
}

export interface ListedBlob {
  readonly sha256: string;
  /** Bytes as stored. */
  readonly size: number;
  /** When it was stored. */
  readonly storedAt: Date;
}

export interface BlobStore {
  /** Durable when it resolves. Storing the same content again changes nothing, but mends a blob that is damaged. */
  put(organizationId: string, content: Uint8Array): Promise<StoredBlob>;
  /** @throws BlobError `missing` when there is no such blob, `damaged` when its content is not what its name says. */
  get(organizationId: string, sha256: string): Promise<Uint8Array>;
  has(organizationId: string, sha256: string): Promise<boolean>;
  /** Does nothing when there is no such blob. */
  delete(organizationId: string, sha256: string): Promise<void>;
  /** Every blob of the organization, in no particular order. One stored meanwhile may be among them or not. */
  list(organizationId: string): AsyncIterable<ListedBlob>;
}

export type BlobErrorCode = "missing" | "damaged" | "too_large" | "refused" | "unreachable";

export class BlobError extends Error {
  override readonly name = "BlobError";
  readonly code: BlobErrorCode;
  constructor(code: BlobErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** @throws Error for what is no key: it would become part of a path. */
export function requireBlobKey(organizationId: string, sha256?: string): void {
  if (!/^org_[0-9A-Z]{26}$/.test(organizationId) || (sha256 !== undefined && !isSha256(sha256))) {
    throw new Error("not a blob's key");
  }
}

export function isSha256(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

export function sha256Of(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** @throws BlobError `too_large` */
export function requireBlobSize(size: number): void {
  if (size > maximumBlobBytes) {
    throw new BlobError("too_large", `a blob of ${size} bytes is too large: ${maximumBlobBytes} are allowed`);
  }
}

/** @throws BlobError `damaged` unless the content is what its name says. */
export function requireContent(sha256: string, content: Uint8Array): void {
  if (sha256Of(content) !== sha256) {
    throw new BlobError("damaged", `blob ${sha256} is damaged in the store: its content has another checksum`);
  }
}
