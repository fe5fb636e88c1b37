/** The name of a memory store's directory in a session. Pure. @module */

/** Names below /memory that mean something else. */
const reserved = ["org", "me"];
/** Characters; a number may follow. */
const longestName = 200;

/**
 * The store's name in lower case, every run of characters other than ASCII letters and digits a hyphen, none at its ends.
 * A name that is taken is numbered: names of stores need not differ.
 * @example storeDirectory("User Preferences!", new Set()) // "user-preferences"
 */
export function storeDirectory(name: string, taken: ReadonlySet<string>): string {
  const slug = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, longestName)
    .replaceAll(/^-|-$/g, "");
  const base = slug === "" ? "store" : slug;
  let candidate = base;
  for (let number = 2; taken.has(candidate) || reserved.includes(candidate); number += 1) {
    candidate = `${base}-${number}`;
  }
  return candidate;
}
