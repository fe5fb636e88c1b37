/** A command's output as text, bounded in memory whatever the command prints. @module */
import type { CommandOutputChunk } from "@exoloop/sandbox/session";

/** Bytes kept from the beginning and from the end. */
const headBytes = 512 * 1024;
const tailBytes = 512 * 1024;
const blockBytes = 32 * 1024;

export interface CollectedOutput {
  readonly text: string;
  /** Bytes between head and tail were dropped. */
  readonly truncated: boolean;
}

/** Bytes that come one at a time are kept together: each alone would take a hundred times its size. */
interface Block {
  readonly buffer: Buffer;
  used: number;
}

function append(blocks: Block[], bytes: Uint8Array): void {
  for (let taken = 0; taken < bytes.length;) {
    let last = blocks.at(-1);
    if (last === undefined || last.used === blockBytes) {
      last = { buffer: Buffer.allocUnsafe(blockBytes), used: 0 };
      blocks.push(last);
    }
    const part = bytes.subarray(taken, taken + blockBytes - last.used);
    last.buffer.set(part, last.used);
    last.used += part.length;
    taken += part.length;
  }
}

/** Keeps head and tail and says how much is missing between them. Invalid UTF-8 becomes U+FFFD. */
export async function collectOutput(chunks: AsyncIterable<CommandOutputChunk>): Promise<CollectedOutput> {
  const head: Block[] = [];
  const tail: Block[] = [];
  let headSize = 0;
  let tailSize = 0;
  let dropped = 0;
  for await (const { bytes, missingBytes = 0 } of chunks) {
    dropped += missingBytes;
    const room = headBytes - headSize;
    append(head, bytes.subarray(0, room));
    headSize += Math.min(room, bytes.length);
    if (bytes.length <= room) continue;
    append(tail, bytes.subarray(room));
    tailSize += bytes.length - room;
    for (let oldest = tail[0]; oldest !== undefined && tailSize - oldest.used >= tailBytes; oldest = tail[0]) {
      tail.shift();
      tailSize -= oldest.used;
      dropped += oldest.used;
    }
  }
  const decode = (blocks: readonly Block[]) =>
    new TextDecoder().decode(Buffer.concat(blocks.map(({ buffer, used }) => buffer.subarray(0, used))));
  if (dropped === 0) return { text: decode([...head, ...tail]), truncated: false };
  return { text: `${decode(head)}\n[… ${dropped} bytes not kept …]\n${decode(tail)}`, truncated: true };
}
