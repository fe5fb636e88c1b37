/** Standard input of a command in memory: a pipe that holds its writer back. @module */

/** As much as a pipe of the kernel holds. */
const pipeBytes = 64 << 10;

export interface InputQueue {
  /** Resolves when the reader took enough for the rest to fit. False: nobody will read it. */
  write(bytes: Uint8Array): Promise<boolean>;
  /** No more comes; what is in it can still be read. */
  close(): void;
  /** Nobody reads any more. */
  abandon(): void;
  /** Bytes up to `most`, or up to and with the first line's end; null at the end. */
  read(most: number, line?: boolean): Promise<Uint8Array | null>;
}

export function createInputQueue(): InputQueue {
  let held: Uint8Array = new Uint8Array();
  let closed = false;
  let abandoned = false;
  let changed = Promise.withResolvers<void>();
  const announce = (): void => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const take = (count: number): Uint8Array => {
    const bytes = held.slice(0, count);
    held = held.slice(count);
    announce();
    return bytes;
  };
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length;) {
        if (closed || abandoned) return false;
        const room = pipeBytes - held.length;
        if (room <= 0) {
          await changed.promise;
          continue;
        }
        held = Buffer.concat([held, bytes.subarray(at, at + room)]);
        at += room;
        announce();
      }
      return !closed && !abandoned;
    },
    close() {
      closed = true;
      announce();
    },
    abandon() {
      abandoned = true;
      announce();
    },
    async read(most, line = false) {
      for (;;) {
        const newline = line ? held.indexOf(10) : -1;
        if (newline >= 0) return take(newline + 1);
        if (held.length > 0 && (!line || closed || held.length >= most)) return take(most);
        if (closed) return held.length > 0 ? take(most) : null;
        await changed.promise;
      }
    },
  };
}
