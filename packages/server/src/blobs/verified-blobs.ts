/**
 * Which blobs of a store far away this process has seen whole lately: it need not fetch them to know it. Another
 * process may find one of them damaged meanwhile, so what was seen counts for a while only.
 * @module
 */

const countsForMs = 600_000;
/** About 4 MB. */
const mostHeld = 20_000;

export interface VerifiedBlobs {
  has(key: string): boolean;
  add(key: string): void;
  /** It is damaged, or gone. */
  delete(key: string): void;
}

export function createVerifiedBlobs(now: () => number = () => performance.now()): VerifiedBlobs {
  /** Until when they count. The one that was seen last is the last. */
  const seen = new Map<string, number>();
  return {
    has: (key) => (seen.get(key) ?? -Infinity) > now(),
    add(key) {
      seen.delete(key);
      seen.set(key, now() + countsForMs);
      for (const oldest of seen.keys()) {
        if (seen.size <= mostHeld) break;
        seen.delete(oldest);
      }
    },
    delete: (key) => void seen.delete(key),
  };
}
