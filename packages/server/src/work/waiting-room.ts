/** Waiting for work without a connection to the database: a notice says that there may be some. @module */
import type { NoticeBoard } from "../sessions/notices.ts";

export interface WaitingRoom {
  /**
   * Looks, and if there is nothing looks again with each notice and once at the end of `milliseconds`. Null when there
   * was nothing all the time, or when the caller has gone.
   */
  until<Found>(
    environmentId: string,
    look: () => Promise<Found | null>,
    milliseconds: number,
    signal: AbortSignal,
  ): Promise<Found | null>;
}

/** Of one process. Whoever comes after them looks once and is answered at once. */
const mostWaiting = 1_000;

/** @example await room.until(environmentId, claim, 999, request.signal) */
export function createWaitingRoom(notices: NoticeBoard, places: number = mostWaiting): WaitingRoom {
  let waiting = 0;
  return {
    async until(environmentId, look, milliseconds, signal) {
      if (milliseconds <= 0 || waiting >= places) return look();
      waiting += 1;
      const bell = createBell(milliseconds, signal);
      // Before the first look: what is put into the queue meanwhile rings.
      const unsubscribe = notices.subscribe(environmentId, bell.ring);
      try {
        for (;;) {
          const found = await look();
          if (found !== null || bell.over()) return found;
          await bell.rung();
          if (signal.aborted) return null;
        }
      } finally {
        waiting -= 1;
        unsubscribe();
        bell.put();
      }
    },
  };
}

/** Rings when told to, and at the end of the time. What rings while nobody listens is heard by the next who does. */
function createBell(milliseconds: number, signal: AbortSignal) {
  const until = performance.now() + milliseconds;
  let rang = false;
  let wake: (() => void) | null = null;
  const ring = () => {
    rang = true;
    wake?.();
  };
  const timer = setTimeout(ring, milliseconds);
  signal.addEventListener("abort", ring);
  return {
    ring,
    over: () => performance.now() >= until,
    rung: () =>
      new Promise<void>((resolve) => {
        wake = () => {
          rang = false;
          wake = null;
          resolve();
        };
        if (rang) wake();
      }),
    put() {
      clearTimeout(timer);
      signal.removeEventListener("abort", ring);
    },
  };
}
