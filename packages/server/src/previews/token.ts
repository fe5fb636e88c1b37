/**
 * What a preview URL is made of: session, port and expiry, signed. Whoever has it reaches that port of that session's
 * sandbox until then, and nothing else. It is written in lower-case base 32 and has 63 characters, so that it fits into
 * a path and into one label of a host name alike. Pure.
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { isId } from "@exoloop/protocol/ids";

export interface PreviewTarget {
  readonly sessionId: string;
  readonly organizationId: string;
  readonly port: number;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

/** What a token says of itself, before anybody knows whether it is true. */
export type PreviewClaim = Omit<PreviewTarget, "organizationId"> & { readonly signature: string };

const sessionPrefix = "sesn_";
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
/** Characters. */
const [sessionLength, portLength, expiryLength, signatureLength] = [26, 4, 7, 26];
const tokenForm = /^[0-9a-hjkmnp-tv-z]{63}$/;

export const tokenLength = sessionLength + portLength + expiryLength + signatureLength;

/** @throws Error for a session whose identifier is not of this server's form */
export function writeToken(key: Uint8Array, target: PreviewTarget): string {
  const { sessionId, port, expiresAt } = target;
  if (!isId("session", sessionId)) throw new Error("a preview is of a session");
  const session = sessionId.slice(sessionPrefix.length).toLowerCase();
  return session + writeNumber(port, portLength) + writeNumber(expiresAt, expiryLength) + sign(key, target);
}

/** Null when it has another form. */
export function parseToken(token: string): PreviewClaim | null {
  const text = token.toLowerCase();
  if (!tokenForm.test(text)) return null;
  const sessionId = sessionPrefix + text.slice(0, sessionLength).toUpperCase();
  const port = readNumber(text.slice(sessionLength, sessionLength + portLength));
  const expiresAt = readNumber(text.slice(sessionLength + portLength, -signatureLength));
  if (port < 1 || port > 65_535) return null;
  return { sessionId, port, expiresAt, signature: text.slice(-signatureLength) };
}

/** In constant time. */
export function isSigned(key: Uint8Array, { signature, ...claim }: PreviewClaim, organizationId: string): boolean {
  return timingSafeEqual(Buffer.from(signature), Buffer.from(sign(key, { ...claim, organizationId })));
}

/** 130 bits of an HMAC-SHA-256. */
function sign(key: Uint8Array, { sessionId, organizationId, port, expiresAt }: PreviewTarget): string {
  const signed = JSON.stringify(["exoloop preview 1", organizationId, sessionId, port, expiresAt]);
  const digest = createHmac("sha256", key).update(signed).digest();
  let text = "";
  for (let index = 0; index < signatureLength; index += 1) {
    const bit = index * 5;
    const pair = digest.readUInt16BE(bit >> 3);
    text += alphabet.charAt((pair >> (11 - (bit & 7))) & 31);
  }
  return text;
}

function writeNumber(value: number, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest = Math.floor(rest / 32)) text = alphabet.charAt(rest % 32) + text;
  return text;
}

function readNumber(text: string): number {
  let value = 0;
  for (let index = 0; index < text.length; index += 1) value = value * 32 + alphabet.indexOf(text.charAt(index));
  return value;
}
