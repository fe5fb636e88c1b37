/** A command's output as text, bounded in memory whatever the command prints. @module */
import type { CommandOutputChunk } from "@exoloop/sandbox/session";

/** Bytes kept from the beginning and from the end. */
const headBytes = 512 * 1024;
const tailBytes = 512 * 1024;

export interface CollectedOutput {
  readonly text: string;
  /** Bytes between head and tail were dropped. */
  readonly truncated: boolean;
}

/** Keeps head and tail and says how much is missing between them. Invalid UTF-8 becomes U+FFFD. */
export async function collectOutput(chunks: AsyncIterable<CommandOutputChunk>): Promise<CollectedOutput> {
  const head: Uint8Array[] = [];
  const tail: Uint8Array[] = [];
  let headSize = 0;
  let tailSize = 0;
  let dropped = 0;
  for await (const { bytes } of chunks) {
    const room = headBytes - headSize;
    if (room > 0) {
      head.push(bytes.subarray(0, room));
      headSize += Math.min(room, bytes.length);
    }
    if (bytes.length <= room) continue;
    const rest = bytes.subarray(Math.max(0, room));
    tail.push(rest);
    tailSize += rest.length;
    for (let oldest = tail[0]; oldest !== undefined && tailSize - oldest.length >= tailBytes; oldest = tail[0]) {
      tail.shift();
      tailSize -= oldest.length;
      dropped += oldest.length;
    }
  }
  const decode = (parts: readonly Uint8Array[]) => new TextDecoder().decode(Buffer.concat(parts));
  if (dropped === 0) return { text: decode([...head, ...tail]), truncated: false };
  return { text: `${decode(head)}\n[… ${dropped} bytes not kept …]\n${decode(tail)}`, truncated: true };
}
