/**
 * Identifiers. Every public object has a prefixed identifier whose body sorts by creation time, so that a list in
 * identifier order is a list in creation order, and a reader knows the kind of a thing from its identifier alone.
 *
 * @example createId("session") // "sesn_06ERZW1S4M3V8Q6P1K2T7XY9AB"
 * @module
 */

export const idPrefixes = {
  organization: "org",
  user: "user",
  apiKey: "key",
  agent: "agent",
  environment: "env",
  deployment: "depl",
  deploymentRun: "drun",
  session: "sesn",
  thread: "sthr",
  event: "sevt",
  outcome: "outc",
  sandbox: "sbx",
  snapshot: "snap",
  memoryStore: "memstore",
  memory: "mem",
  memoryVersion: "memver",
  sessionResource: "sesrsc",
  file: "file",
  skill: "skill",
  skillVersion: "skillver",
  webhook: "whk",
  workItem: "work",
  request: "req",
} as const;

export type IdKind = keyof typeof idPrefixes;

/** Crockford's base 32: no I, L, O, U, so that an identifier read aloud is not misheard. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * A new identifier: prefix, 10 characters of milliseconds since the epoch, 16 characters of randomness (80 bits).
 * The layout is that of a ULID (https://github.com/ulid/spec), without its monotonic counter: order within one
 * millisecond is not promised; a session's log is ordered by `seq`, never by identifier.
 */
export function createId(kind: IdKind, now: number = Date.now()): string {
  let time = "";
  for (let rest = now, index = 0; index < 10; index += 1) {
    time = alphabet.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  const random = crypto.getRandomValues(new Uint8Array(16));
  let tail = "";
  for (const byte of random) tail += alphabet.charAt(byte & 31);
  return `${idPrefixes[kind]}_${time}${tail}`;
}

/** Whether `value` has the form of an identifier of this kind. Says nothing about whether such an object exists. */
export function isId(kind: IdKind, value: string): boolean {
  const prefix = `${idPrefixes[kind]}_`;
  return value.startsWith(prefix) && /^[0-9A-HJKMNP-TV-Z]{26}$/.test(value.slice(prefix.length));
}

/** When an identifier was made, in milliseconds since the epoch; null when it has another form. */
export function instantOf(id: string): number | null {
  const body = /^[a-z]+_([0-9A-HJKMNP-TV-Z]{10})[0-9A-HJKMNP-TV-Z]{16}$/.exec(id)?.[1];
  if (body === undefined) return null;
  return Array.from(body).reduce((sum, character) => sum * 32 + alphabet.indexOf(character), 0);
}
