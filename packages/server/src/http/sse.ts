/** Frames of a stream of server-sent events, as bytes. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html @module */

const encoder = new TextEncoder();

/**
 * A frame. Without an `event:` line the official SDKs drop a frame, so it always has one. Only durable events have an
 * `id`: it is what a client that reconnects sends back.
 * @param data any JSON value: JSON text has no raw line break
 */
export function encodeFrame(type: string, data: object, seq?: number): Uint8Array {
  const id = seq === undefined ? "" : `id: ${seq}\n`;
  return encoder.encode(`event: ${type}\n${id}data: ${JSON.stringify(data)}\n\n`);
}

/**
 * The first bytes: they make the headers leave at once, tell clients how long to wait before they come back, and tell
 * where this stream begins, so that one that breaks before its first event loses nothing. Without data it is no event.
 */
export function encodeOpening(seq: number): Uint8Array {
  return encoder.encode(`retry: 1000\nid: ${seq}\n\n`);
}

export function encodePing(): Uint8Array {
  return encoder.encode('event: ping\ndata: {"type":"ping"}\n\n');
}
