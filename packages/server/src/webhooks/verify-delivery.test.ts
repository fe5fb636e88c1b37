import { computeWebhookSignature, readWebhookSecret, signWebhook } from "@exoloop/protocol/webhook-signatures";
import { describe, expect, it, test } from "vitest";
import { readDeliveryHead, verifyDelivery } from "./verify-delivery.ts";

const now = 1_614_265_330_000;
const body = new TextEncoder().encode('{"test": 2432232314}');
/** Example of the Standard Webhooks libraries, whose own signature this is. */
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const message = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: now / 1000, body };
const example = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const key = Buffer.from(readWebhookSecret(secret) ?? []);

function headersOf(changes: Record<string, string | null> = {}): Headers {
  const headers = new Headers({
    "webhook-id": message.id,
    "webhook-timestamp": String(message.timestamp),
    "webhook-signature": example,
  });
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) headers.delete(name);
    else headers.set(name, value);
  }
  return headers;
}

test("signs as the Standard Webhooks libraries do", async () => {
  expect((await signWebhook(secret, message))["webhook-signature"]).toBe(example);
});

test("a secret is whsec_ and 24 to 64 bytes in base64, and nothing else", () => {
  const of = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`;
  expect(readWebhookSecret(of(24))).toHaveLength(24);
  expect(readWebhookSecret(of(64))).toHaveLength(64);
  for (const wrong of [
    of(23),
    of(65),
    of(32).slice(6),
    "whsec_",
    `${of(24)}\n`,
    of(24).replace("B", "-"),
    "whsec_ab",
  ]) {
    expect(readWebhookSecret(wrong), wrong).toBeNull();
  }
});

describe("a delivery", () => {
  const verify = async (headers: Headers, bytes: Uint8Array = body, at = now) =>
    verifyDelivery(key, readDeliveryHead(headers, at), bytes);

  it("is accepted with a right signature among several, and within five minutes either way", async () => {
    const wrong = `v1,${Buffer.alloc(32).toString("base64")}`;
    for (const signature of [example, `${wrong} v1a,xyz ${example}`, `v2,x ${example} ${wrong}`]) {
      await expect(verify(headersOf({ "webhook-signature": signature }))).resolves.toBeUndefined();
    }
    await expect(verify(headersOf(), body, now + 299_000)).resolves.toBeUndefined();
    await expect(verify(headersOf(), body, now - 299_000)).resolves.toBeUndefined();
  });

  it("is refused when anything that was signed is another", async () => {
    const bytes = new TextEncoder().encode('{"test":2432232314}');
    await expect(verify(headersOf(), bytes)).rejects.toThrow("no signature is this webhook's");
    await expect(verify(headersOf({ "webhook-id": "msg_other" }))).rejects.toThrow("no signature");
    await expect(verify(headersOf({ "webhook-timestamp": `${now / 1000 + 1}` }))).rejects.toThrow("no signature");
    const other = readWebhookSecret(`whsec_${Buffer.alloc(24, 1).toString("base64")}`) ?? new Uint8Array();
    const forged = Buffer.from(await computeWebhookSignature(other, message)).toString("base64");
    await expect(verify(headersOf({ "webhook-signature": `v1,${forged}` }))).rejects.toThrow("no signature");
    for (const short of ["v1,", "v1,AAAA", example.slice(0, -8)]) {
      await expect(verify(headersOf({ "webhook-signature": short }))).rejects.toThrow("no signature");
    }
  });

  it.each([
    ["no id", { "webhook-id": null }, now, "webhook-id"],
    ["an id that would break the block it is shown in", { "webhook-id": '1"><b' }, now, "webhook-id"],
    ["no timestamp", { "webhook-timestamp": null }, now, "webhook-timestamp"],
    ["a timestamp that is none", { "webhook-timestamp": "1e9" }, now, "webhook-timestamp"],
    ["one that is too old", {}, now + 301_000, "five minutes"],
    ["one from the future", {}, now - 301_000, "five minutes"],
    ["no signature", { "webhook-signature": null }, now, "webhook-signature"],
    ["only signatures of another kind", { "webhook-signature": example.replace("v1", "v1a") }, now, "of the form v1"],
  ])("is refused with %s", (_name, changes, at, expected) => {
    expect(() => readDeliveryHead(headersOf(changes), at)).toThrow(expected);
  });
});
