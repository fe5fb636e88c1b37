/** Has a supervisor that sleeps with its workload be there as long as somebody waits for it. @module */

export interface Attendance {
  /** Resolves when it is there. */
  begin(): Promise<void>;
  /** Once for each `begin`. */
  end(): void;
  /** It has just been put to sleep. */
  lapse(): void;
}

/** @param ask has it there for the next `servedMs`. It is asked again in half of that time. */
export function createAttendance(ask: () => Promise<unknown>, servedMs: number): Attendance {
  const period = servedMs / 2;
  let count = 0;
  let until = 0;
  let timer: NodeJS.Timeout | undefined;
  let asking: Promise<void> | null = null;
  const renew = (): Promise<void> => {
    const asked = performance.now();
    asking ??= ask()
      .then(() => void (until = asked + period))
      .finally(() => (asking = null));
    return asking;
  };
  const keep = (): void => void renew().catch(() => {});
  return {
    async begin() {
      if (performance.now() >= until) await renew();
      if (++count === 1) timer = setInterval(keep, period);
    },
    end() {
      if (--count === 0) clearInterval(timer);
    },
    lapse() {
      until = 0;
      if (count > 0) keep();
    },
  };
}

/** Holds the attendance for each that is open and not left. */
export function createAttended<T>(attendance: Attendance | undefined): {
  open(open: () => Promise<T>): Promise<T>;
  leave(one: T): void;
} {
  const attended = new Set<T>();
  return {
    async open(open) {
      await attendance?.begin();
      try {
        const one = await open();
        attended.add(one);
        return one;
      } catch (error) {
        attendance?.end();
        throw error;
      }
    },
    leave(one) {
      if (attended.delete(one)) attendance?.end();
    },
  };
}
