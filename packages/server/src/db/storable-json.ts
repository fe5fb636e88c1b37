/** JSON as Postgres stores it. Pure. @module */

/**
 * Commands print NUL and models write halves of surrogate pairs. jsonb refuses both, and an event that cannot be stored
 * would make its turn fail again and again: each becomes U+FFFD.
 * @example storableJson("a\0b") // "a\ufffdb" in quotes
 */
export function storableJson(value: unknown): string {
  // In what JSON.stringify writes, an escaped surrogate is always an unpaired one.
  return JSON.stringify(value).replace(/\\(u0000|ud[89a-f][0-9a-f]{2}|.)/g, (written, escaped: string) =>
    escaped.length === 1 ? written : "\ufffd",
  );
}
