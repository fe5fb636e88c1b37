/** How notices become payloads of NOTIFY: what may be merged, what must be split, how they are read back. @module */
import type { Notice } from "./notices.ts";

/** A `seq` no event has: "something may have happened, look". */
export const lookSequence = 0;

/**
 * Puts a notice at the end of the batch. Two `appended` notices of one session with nothing of that session between
 * them say no more than the later one.
 */
export function addToBatch(batch: Notice[], notice: Notice): void {
  if (notice.type === "appended") {
    const index = batch.findLastIndex((queued) => queued.sessionId === notice.sessionId);
    const last = batch[index];
    if (last?.type === "appended") {
      batch[index] = { ...last, seq: Math.max(last.seq, notice.seq) };
      return;
    }
  }
  batch.push(notice);
}

/**
 * Packs notices, in order, into texts of at most `maximumBytes`. `mark` makes each text different from every other:
 * Postgres drops a payload that repeats one of the same statement. A delta that is too long is split between two
 * characters; returns the notices that fit nowhere as `refused`.
 */
export function packBatch(
  notices: readonly Notice[],
  maximumBytes: number,
  mark: () => string,
): { payloads: string[]; refused: Notice[] } {
  const payloads: string[] = [];
  const refused: Notice[] = [];
  let current: string[] = [];
  // Brackets, quotes and a comma around the mark.
  const frameBytes = 40;
  let bytes = frameBytes;
  const flush = () => {
    if (current.length > 0) payloads.push(`[${JSON.stringify(mark())},${current.join(",")}]`);
    current = [];
    bytes = frameBytes;
  };
  const queue = [...notices];
  for (let notice = queue.shift(); notice !== undefined; notice = queue.shift()) {
    const text = JSON.stringify(notice);
    const size = Buffer.byteLength(text) + 1;
    if (size + frameBytes > maximumBytes) {
      const halves = splitDelta(notice);
      if (halves === null) refused.push(notice);
      else queue.unshift(...halves);
      continue;
    }
    if (bytes + size > maximumBytes) flush();
    current.push(text);
    bytes += size;
  }
  flush();
  return { payloads, refused };
}

function splitDelta(notice: Notice): [Notice, Notice] | null {
  if (notice.type !== "frame" || notice.frame.type !== "event_delta") return null;
  const { frame } = notice;
  const { text } = frame.delta.content;
  let middle = Math.floor(text.length / 2);
  // Never between the two halves of a surrogate pair.
  const code = text.charCodeAt(middle);
  if (code >= 0xdc00 && code <= 0xdfff) middle -= 1;
  if (middle <= 0) return null;
  const part = (piece: string): Notice => ({
    ...notice,
    frame: { ...frame, delta: { ...frame.delta, content: { ...frame.delta.content, text: piece } } },
  });
  return [part(text.slice(0, middle)), part(text.slice(middle))];
}

/** The notices of a payload; none when it is not one of ours. Only this server's processes can send one. */
export function unpackPayload(payload: string): Notice[] {
  try {
    const value: unknown = JSON.parse(payload);
    return Array.isArray(value) ? value.slice(1).filter(isNotice) : [];
  } catch {
    return [];
  }
}

function isNotice(value: unknown): value is Notice {
  if (typeof value !== "object" || value === null || !("type" in value) || !("sessionId" in value)) return false;
  if (typeof value.sessionId !== "string") return false;
  if (value.type === "appended") return "seq" in value && typeof value.seq === "number";
  if (value.type === "frame") return "frame" in value && typeof value.frame === "object" && value.frame !== null;
  return value.type === "deleted";
}
