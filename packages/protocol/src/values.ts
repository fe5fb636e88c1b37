/** Values that many objects share. @module */
import { z } from "zod";

/** An instant as the API writes it: RFC 3339. */
export const timestamp = z.iso.datetime({ offset: true });

/** A reference to an object. Its form is not judged here: an unknown identifier is "not found", whatever it looks like. */
export const reference = z.string().min(1).max(128);

const metadataKey = z.string().min(1).max(64);
const metadataValue = z.string().max(512);
export const maximumMetadataPairs = 16;

function hasFewPairs(pairs: object): boolean {
  return Object.keys(pairs).length <= maximumMetadataPairs;
}

/** At most 16 pairs, keys of at most 64 and values of at most 512 characters. */
export const metadata = z
  .record(metadataKey, metadataValue)
  .refine(hasFewPairs, `at most ${maximumMetadataPairs} pairs are allowed`);

/** A string sets the key, null deletes it, an absent key stays. */
export const metadataPatch = z.record(metadataKey, metadataValue.nullable());

/**
 * Applies a patch. The result may exceed the limit of pairs: the caller checks it against `metadata`.
 * @example patchMetadata({ a: "1", b: "2" }, { a: null, c: "3" }) // { b: "2", c: "3" }
 */
export function patchMetadata(
  current: Readonly<Record<string, string>>,
  patch: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const pairs = new Map(Object.entries(current));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) pairs.delete(key);
    else pairs.set(key, value);
  }
  return Object.fromEntries(pairs);
}
