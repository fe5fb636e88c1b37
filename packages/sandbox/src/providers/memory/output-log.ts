/** What a command wrote: its latest 16 MiB, with absolute offsets, for any number of readers. @module */
import type { CommandOutputChunk } from "../../session.ts";

export const keptOutputBytes = 16 << 20;

export interface OutputLog {
  /** Bytes written, kept or not. */
  readonly total: number;
  write(stream: CommandOutputChunk["stream"], bytes: Uint8Array): void;
  end(): void;
  read(byteOffset: number): AsyncIterable<CommandOutputChunk>;
}

interface KeptChunk extends CommandOutputChunk {
  readonly offset: number;
}

export function createOutputLog(): OutputLog {
  const chunks: KeptChunk[] = [];
  let total = 0;
  let kept = 0;
  let ended = false;
  let changed = Promise.withResolvers<void>();
  const announce = (): void => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  /** The chunk that holds the byte at `at`, or the first that is still there. */
  const find = (at: number): KeptChunk | undefined => chunks.find((chunk) => chunk.offset + chunk.bytes.length > at);
  async function* read(byteOffset: number): AsyncGenerator<CommandOutputChunk> {
    for (let at = byteOffset; ;) {
      const chunk = find(at);
      if (chunk === undefined) {
        if (ended) return;
        await changed.promise;
        continue;
      }
      const { stream, offset } = chunk;
      const missingBytes = Math.max(offset - at, 0);
      const bytes = chunk.bytes.subarray(Math.max(at - offset, 0));
      at = offset + chunk.bytes.length;
      yield missingBytes === 0 ? { stream, bytes } : { stream, bytes, missingBytes };
    }
  }
  return {
    get total() {
      return total;
    },
    write(stream, bytes) {
      if (bytes.length === 0 || ended) return;
      chunks.push({ stream, bytes: new Uint8Array(bytes), offset: total });
      total += bytes.length;
      kept += bytes.length;
      for (let first = chunks[0]; first !== undefined && kept > keptOutputBytes; first = chunks[0]) {
        const excess = Math.min(kept - keptOutputBytes, first.bytes.length);
        kept -= excess;
        if (excess === first.bytes.length) chunks.shift();
        else chunks[0] = { ...first, bytes: first.bytes.subarray(excess), offset: first.offset + excess };
      }
      announce();
    },
    end() {
      ended = true;
      announce();
    },
    read,
  };
}
