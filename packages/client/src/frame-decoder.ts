/**
 * Decodes a stream of server-sent events.
 * Algorithm: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 * @module
 */

export interface Frame {
  /** `message` when the stream did not say. */
  readonly type: string;
  /** Lines of data, joined; empty when there were none. */
  readonly data: string;
  /** What this very frame said; undefined when it said nothing. */
  readonly id: string | undefined;
}

/** A frame that grows beyond this is not one of ours. */
const maximumFrameCharacters = 16 * 1024 * 1024;

export interface FrameDecoder {
  /** Frames that these bytes complete. @throws Error when a frame is larger than 16 Mi characters */
  push(bytes: Uint8Array): Frame[];
}

/** @example createFrameDecoder().push(new TextEncoder().encode("event: a\ndata: 1\n\n")) // [{ type: "a", data: "1" }] */
export function createFrameDecoder(): FrameDecoder {
  const decoder = new TextDecoder("utf-8");
  let text = "";
  /** Up to here `text` holds no end of a line: long lines arrive in many pieces. */
  let scanned = 0;
  let size = 0;
  let type = "";
  let data: string[] = [];
  let id: string | undefined;

  function readLine(line: string, frames: Frame[]): void {
    if (line === "") {
      if (data.length > 0 || id !== undefined) frames.push({ type: type || "message", data: data.join("\n"), id });
      [type, data, id, size] = ["", [], undefined, 0];
      return;
    }
    size += line.length;
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "event") type = value;
    if (name === "data") data.push(value);
    if (name === "id" && !value.includes("\0")) id = value;
  }

  return {
    push(bytes) {
      text += decoder.decode(bytes, { stream: true });
      const frames: Frame[] = [];
      let start = 0;
      for (let index = scanned; index < text.length; index += 1) {
        const character = text[index];
        if (character !== "\n" && character !== "\r") continue;
        // The other half of a CRLF may be in the next bytes: the line waits for it.
        if (character === "\r" && index === text.length - 1) break;
        readLine(text.slice(start, index), frames);
        if (character === "\r" && text[index + 1] === "\n") index += 1;
        start = index + 1;
      }
      text = text.slice(start);
      scanned = text.endsWith("\r") ? text.length - 1 : text.length;
      if (size + text.length > maximumFrameCharacters) throw new Error("a frame of the stream is too large");
      return frames;
    },
  };
}

/** Frames of a body, until it ends. Leaving the loop cancels the body. */
export async function* decodeFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame> {
  const decoder = createFrameDecoder();
  const reader = body.getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield* decoder.push(read.value);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
