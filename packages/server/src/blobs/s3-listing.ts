/** A page of a bucket's content, as S3 lists it. Only keys of blobs are taken; nothing else of the XML is. @module */
import { BlobError, isSha256, type ListedBlob } from "./store.ts";

export interface Listing {
  readonly blobs: readonly ListedBlob[];
  /** Where the next page begins; null on the last one. */
  readonly next: string | null;
}

/** @throws BlobError `refused` when it is no listing. */
export function readListing(xml: string, folder: string): Listing {
  if (!/<ListBucketResult[\s>]/.test(xml)) throw new BlobError("refused", "the blob store's answer is no list");
  const blobs = [...xml.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)].flatMap(([, entry = ""]): ListedBlob[] => {
    const key = element(entry, "Key") ?? "";
    const sha256 = key.slice(folder.length);
    const storedAt = new Date(element(entry, "LastModified") ?? "");
    const size = Number(element(entry, "Size"));
    // Somebody else's, in the same bucket.
    if (!key.startsWith(folder) || !isSha256(sha256)) return [];
    if (Number.isNaN(storedAt.getTime()) || !Number.isSafeInteger(size)) {
      throw new BlobError("refused", "the blob store lists a blob without age or size");
    }
    return [{ sha256, size, storedAt }];
  });
  const more = element(xml, "IsTruncated") === "true";
  const next = more ? element(xml, "NextContinuationToken") : null;
  if (more && next === null) throw new BlobError("refused", "the blob store's list breaks off");
  return { blobs, next };
}

function element(xml: string, name: string): string | null {
  const content = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return content === undefined ? null : decode(content);
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decode(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]{2,4}));/gi, (whole, hex, decimal, name) => {
    const named = typeof name === "string" ? entities[name] : undefined;
    if (named !== undefined) return named;
    const code = typeof hex === "string" ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10_ffff ? String.fromCodePoint(code) : whole;
  });
}
