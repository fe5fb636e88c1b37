/** What a stream has still to send, in order and bounded. @module */
import type { PreviewFrame } from "../sessions/notices.ts";

export type StreamItem =
  /** Read the log: there may be more. */
  | { readonly type: "look" }
  | { readonly type: "ping" }
  | { readonly type: "deleted" }
  | { readonly type: "frame"; readonly frame: PreviewFrame };

export interface StreamInbox {
  /** False when the item found no room: the client does not read. Two looks or pings that wait are one. */
  push(item: StreamItem): boolean;
  /** Waits for an item; null once the inbox is closed. One caller at a time. */
  next(): Promise<StreamItem | null>;
  /** Whether an item of this type waits. */
  has(type: StreamItem["type"]): boolean;
  /** Drops what waits and ends `next`. */
  close(): void;
}

export function createStreamInbox(capacity: number): StreamInbox {
  let items: StreamItem[] = [];
  let waiting: ((item: StreamItem | null) => void) | null = null;
  let closed = false;
  return {
    push(item) {
      if (closed) return true;
      if (waiting !== null) {
        const deliver = waiting;
        waiting = null;
        deliver(item);
        return true;
      }
      // A look that waits will read up to the log's end at that time, wherever it stands in the line.
      if (item.type !== "frame" && items.some((other) => other.type === item.type)) return true;
      if (items.length >= capacity) return false;
      items.push(item);
      return true;
    },
    next() {
      const item = items.shift();
      if (item !== undefined) return Promise.resolve(item);
      if (closed) return Promise.resolve(null);
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    has: (type) => items.some((item) => item.type === type),
    close() {
      closed = true;
      items = [];
      waiting?.(null);
      waiting = null;
    },
  };
}
