/** Work of this process on one thing, one after the other. @module */

const lastOf = new Map<string, Promise<unknown>>();

/**
 * Runs `work` when all earlier work of the same name has ended, whether well or not. For what would only disturb itself
 * side by side; it excludes no other process.
 * @example await inTurn(`${organizationId} ${path}`, () => edit())
 */
export function inTurn<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  const before = lastOf.get(name);
  const mine = before === undefined ? work() : before.then(work);
  // Never rejects: who comes next does not care how this ends.
  const ended = mine
    .then(
      () => undefined,
      () => undefined,
    )
    .then(() => {
      if (lastOf.get(name) === ended) lastOf.delete(name);
    });
  lastOf.set(name, ended);
  return mine;
}
