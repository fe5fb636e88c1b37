/**
 * Signatures of webhooks as Standard Webhooks defines them (https://www.standardwebhooks.com): HMAC-SHA256 over
 * `id.timestamp.body`, so that whoever sends and whoever receives agree on the exact bytes.
 * @module
 */

const secretPrefix = "whsec_";

/** The key in `whsec_` + base64; null when it has another form or not 24 to 64 bytes. */
export function readWebhookSecret(secret: string): Uint8Array<ArrayBuffer> | null {
  const text = secret.slice(secretPrefix.length);
  const form = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
  if (!secret.startsWith(secretPrefix) || text.length > 88 || !form.test(text)) return null;
  const key = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return key.length >= 24 && key.length <= 64 ? key : null;
}

export function writeWebhookSecret(key: Uint8Array): string {
  return secretPrefix + btoa(String.fromCharCode(...key));
}

export interface SignedMessage {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly body: Uint8Array;
}

/** The message's HMAC. */
export async function computeWebhookSignature(
  key: Uint8Array<ArrayBuffer>,
  { id, timestamp, body }: SignedMessage,
): Promise<Uint8Array> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const message = new Uint8Array(head.length + body.length);
  message.set(head);
  message.set(body, head.length);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

/**
 * The headers of a signed message.
 * @throws TypeError when the secret has not the form `whsec_` + base64 of 24 to 64 bytes
 * @example await signWebhook(secret, { id: "msg_1", timestamp: Math.floor(Date.now() / 1000), body })
 */
export async function signWebhook(secret: string, message: SignedMessage): Promise<Record<string, string>> {
  const key = readWebhookSecret(secret);
  if (key === null) throw new TypeError("the secret is not whsec_ followed by 24 to 64 bytes in base64");
  const signature = await computeWebhookSignature(key, message);
  return {
    "webhook-id": message.id,
    "webhook-timestamp": String(message.timestamp),
    "webhook-signature": `v1,${btoa(String.fromCharCode(...signature))}`,
  };
}
