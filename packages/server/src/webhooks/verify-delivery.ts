/** Whether a delivery is what its sender signed, now. Pure but for the clock it is given. @module */
import { timingSafeEqual } from "node:crypto";
import { computeWebhookSignature } from "@exoloop/protocol/webhook-signatures";
import { Problem } from "../errors.ts";

/** How far a sender's clock may be from ours, in seconds: an older delivery may be somebody's replay. */
const toleranceSeconds = 300;
/** Signatures that are compared: a sender that changes its secret sends two. */
const maximumSignatures = 16;

export interface DeliveryHead {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly timestamp: number;
  /** Of version 1; others are left out. */
  readonly signatures: readonly Buffer[];
}

/**
 * What the headers say, before a byte of the body is read.
 * @param now Milliseconds since the epoch.
 * @throws Problem `invalid_signature`
 */
export function readDeliveryHead(headers: Headers, now: number): DeliveryHead {
  const id = headers.get("webhook-id") ?? "";
  if (!/^[\w.:~+/=-]{1,128}$/.test(id))
    throw refused("webhook-id: missing, or not 1 to 128 characters of A-Z, a-z, 0-9 and _.:~+/=-.");
  const written = headers.get("webhook-timestamp") ?? "";
  if (!/^\d{1,12}$/.test(written)) throw refused("webhook-timestamp: missing, or not seconds since the epoch.");
  const timestamp = Number(written);
  if (Math.abs(now / 1_000 - timestamp) > toleranceSeconds) {
    throw refused("webhook-timestamp: more than five minutes from this server's time.");
  }
  const signatures = (headers.get("webhook-signature") ?? "")
    .split(" ")
    .filter((entry) => entry.startsWith("v1,"))
    .slice(0, maximumSignatures)
    .map((entry) => Buffer.from(entry.slice(3), "base64"));
  if (signatures.length === 0) throw refused("webhook-signature: missing, or without a signature of the form v1,….");
  return { id, timestamp, signatures };
}

/** @throws Problem `invalid_signature` */
export async function verifyDelivery(key: Buffer, { id, timestamp, signatures }: DeliveryHead, body: Uint8Array) {
  const expected = await computeWebhookSignature(new Uint8Array(key), { id, timestamp, body });
  const matches = signatures.map(
    (signature) => signature.length === expected.length && timingSafeEqual(signature, expected),
  );
  if (!matches.includes(true)) throw refused("webhook-signature: no signature is this webhook's for these bytes.");
}

function refused(message: string): Problem {
  return new Problem(
    "invalid_signature",
    message,
    "Sign `id.timestamp.body` with the webhook's secret, as Standard Webhooks describes it.",
  );
}
