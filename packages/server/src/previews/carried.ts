/** What is being carried at this moment: so many for each session, each until its token expires. @module */
import type { PreviewTarget } from "./token.ts";

export interface Carried {
  /** Null: the session has too many. `breakOff` is called at the token's end, and when all is closed. */
  begin(target: PreviewTarget, breakOff: () => void): { end(): void } | null;
  closeAll(): void;
}

/** A timer's longest. */
const longestTimerMs = 2 ** 31 - 1;

export function createCarried(mostOfOneSession: number): Carried {
  const open = new Set<() => void>();
  const counts = new Map<string, number>();
  return {
    begin({ sessionId, expiresAt }, breakOff) {
      const held = counts.get(sessionId) ?? 0;
      if (held >= mostOfOneSession) return null;
      counts.set(sessionId, held + 1);
      // A function of its own: two may break off the same way.
      const close = () => breakOff();
      open.add(close);
      const ms = Math.max(0, expiresAt * 1000 - Date.now());
      const expiry = setTimeout(close, Math.min(ms, longestTimerMs)).unref();
      return {
        end() {
          clearTimeout(expiry);
          if (!open.delete(close)) return;
          const left = (counts.get(sessionId) ?? 1) - 1;
          if (left > 0) counts.set(sessionId, left);
          else counts.delete(sessionId);
        },
      };
    },
    closeAll() {
      for (const close of open) close();
    },
  };
}
