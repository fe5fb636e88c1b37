/** How many: an option of every list. @module */
import { InvalidArgumentError } from "commander";

/** The most that one request for stored files answers with. */
export const largestLimit = 1_000;

/** @example limitUpTo(100)("20") // 20 */
export function limitUpTo(most: number): (text: string) => number {
  return (text) => {
    const limit = Number(text);
    if (!/^\d+$/.test(text) || limit < 1 || limit > most)
      throw new InvalidArgumentError(`A limit is a number from 1 to ${most}.`);
    return limit;
  };
}
