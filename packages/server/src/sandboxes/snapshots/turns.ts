/** Work that holds much memory takes turns: one in this process at a time, first come, first served. @module */

export interface Turn {
  /** Resolves when it is ours; at once when it is already. */
  enter(): Promise<void>;
  /** Does nothing where nobody has entered. */
  leave(): void;
}

/** @example const turn = begin(); try { await turn.enter(); … } finally { turn.leave(); } */
export function createTurns(): () => Turn {
  let last: Promise<void> = Promise.resolve();
  return () => {
    let entered: Promise<void> | null = null;
    let leave = (): void => undefined;
    return {
      enter() {
        if (entered === null) {
          entered = last;
          last = new Promise((resolve) => (leave = resolve));
        }
        return entered;
      },
      leave: () => leave(),
    };
  };
}
