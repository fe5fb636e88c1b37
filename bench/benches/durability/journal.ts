/** What was done to the workers, the database and the sandboxes, and when. @module */

/** All instants are milliseconds since the epoch, on the one clock of this machine. */
export type Blow =
  /** `row`: of the crash table, where the worker ended itself there; null for a kill at a random time. */
  | { readonly type: "worker"; readonly at: number; readonly pid: number; readonly row: string | null }
  | { readonly type: "postmaster"; readonly at: number; readonly pid: number }
  | { readonly type: "sandbox"; readonly at: number; readonly sandboxId: string; readonly sessionId: string }
  /** Stopped and later continued: not a kill. */
  | {
      readonly type: "stop";
      readonly at: number;
      readonly pid: number;
      readonly until: number;
      /** It drove a turn after that. Null when it was killed before it could. */
      readonly worked: boolean | null;
    };

export type Kill = Exclude<Blow, { readonly type: "stop" }>;

export function killsOf(blows: readonly Blow[]): readonly Kill[] {
  return blows.filter((blow) => blow.type !== "stop");
}

/** How often each row of the crash table was met. */
export function countRows(
  rows: readonly { readonly id: string }[],
  blows: readonly Blow[],
): ReadonlyMap<string, number> {
  const met = blows.flatMap((blow) => (blow.type === "worker" && blow.row !== null ? [blow.row] : []));
  return new Map(rows.map(({ id }) => [id, met.filter((row) => row === id).length]));
}
