/** Webhooks over HTTP: who may do what, and where the secret is seen. */
import { sql } from "kysely";
import type { WebhookWithSecret } from "@exoloop/protocol/webhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWebhookTest, type WebhookTest } from "./testing.ts";

const path = "/v1/x/webhooks";

describe("webhooks", () => {
  let test: WebhookTest;
  beforeAll(async () => {
    test = await startWebhookTest();
  }, 60_000);
  afterAll(() => test.turns.stop());

  it("are created, listed, retrieved, given another secret and deleted; the secret is shown twice and nowhere else", async () => {
    const { call } = await test.newOrganization();
    const created = await call("POST", path, { name: "ci" }, { "idempotency-key": "create-ci" });
    const webhook: WebhookWithSecret = created.body;
    expect(created.status).toBe(200);
    expect(webhook).toMatchObject({ type: "webhook", name: "ci", path: `${path}/${webhook.id}/deliveries` });
    expect(webhook.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const { secret, ...shown } = webhook;
    expect((await call("GET", `${path}/${webhook.id}`)).body).toEqual(shown);
    expect((await call("GET", path)).body).toEqual({ data: [shown], next_page: null });
    // The same request again has the secret no more, and makes no second webhook.
    expect((await call("POST", path, { name: "ci" }, { "idempotency-key": "create-ci" })).status).toBe(409);
    const own = `whsec_${Buffer.alloc(24, 9).toString("base64")}`;
    const rotated = await call("POST", `${path}/${webhook.id}/rotate`, { secret: own });
    expect(rotated.body).toMatchObject({ id: webhook.id, secret: own });
    expect((await test.deliver(webhook, "old", { secret })).status).toBe(401);
    expect((await test.deliver(webhook, "new", { secret: own })).status).toBe(200);
    await expectAbsent(test, [secret, own]);
    expect((await call("DELETE", `${path}/${webhook.id}`)).body).toEqual({ id: webhook.id, type: "webhook_deleted" });
    expect((await call("GET", `${path}/${webhook.id}`)).status).toBe(404);
    expect((await test.deliver(webhook, "late", { secret: own })).status).toBe(404);
  });

  it("have a name of their own in their organization, and are nobody else's", async () => {
    const { call } = await test.newOrganization();
    const other = await test.newOrganization();
    const { body: mine }: { body: WebhookWithSecret } = await call("POST", path, { name: "deploy" });
    expect(await call("POST", path, { name: "deploy" })).toMatchObject({
      status: 409,
      body: { error: { code: "name_taken" } },
    });
    expect((await other.call("POST", path, { name: "deploy" })).status).toBe(200);
    for (const [method, suffix, body] of [
      ["GET", "", undefined],
      ["POST", "/rotate", {}],
      ["DELETE", "", undefined],
    ] as const) {
      expect(await other.call(method, `${path}/${mine.id}${suffix}`, body)).toMatchObject({
        status: 404,
        body: { error: { code: "not_found" } },
      });
    }
    expect((await call("GET", `${path}/${mine.id}`)).status).toBe(200);
  });

  it("are changed with a key of scope admin only", async () => {
    const { call, session } = await test.newOrganization(["sessions"]);
    expect(await call("POST", path, { name: "ci" })).toMatchObject({ status: 403 });
    expect((await call("GET", path)).body).toEqual({ data: [], next_page: null });
    expect(await webhooksOf(session.organizationId)).toBe(0);
  });

  it.each([
    [{ name: "Ci" }, /^name: 1 to 64 characters/],
    [{ name: "" }, /^name: /],
    [{ name: "x".repeat(65) }, /^name: /],
    [{ name: "a b" }, /^name: /],
    [{}, /^name: .*missing/],
    [{ name: "ci", secret: "whsec_short" }, /^secret: whsec_ followed by 24 to 64 random bytes/],
    [{ name: "ci", secret: Buffer.alloc(32).toString("base64") }, /^secret: /],
    [{ name: "ci", kind: "x" }, /^kind: there is no such field/],
  ])("refuse %j in one sentence, which never repeats a secret", async (body, expected) => {
    const { call, session } = await test.newOrganization();
    const answer = await call("POST", path, body);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
    const { error }: { error: { message: string } } = answer.body;
    expect(error.message).toMatch(expected);
    if ("secret" in body) expect(JSON.stringify(answer.body)).not.toContain(body.secret);
    expect(await webhooksOf(session.organizationId)).toBe(0);
  });

  async function webhooksOf(organizationId: string): Promise<number> {
    const rows = await test.database
      .selectFrom("webhooks")
      .select("id")
      .where("organization_id", "=", organizationId)
      .execute();
    return rows.length;
  }
});

/** Neither as text nor as the bytes it stands for, in whatever the process wrote besides the one column. */
async function expectAbsent({ database, logged }: WebhookTest, secrets: readonly string[]): Promise<void> {
  const { rows } = await sql<{ dump: string }>`
    select query_to_xml('select * from ' || quote_ident(tablename), true, false, '')::text as dump
    from pg_tables where schemaname = 'public' and tablename <> 'webhooks'`.execute(database);
  const written = [...rows.map((row) => row.dump), JSON.stringify(logged)].join("\n");
  for (const secret of secrets) {
    const bytes = secret.slice("whsec_".length);
    expect(written).not.toContain(bytes);
    expect(written).not.toContain(Buffer.from(bytes, "base64").toString("hex"));
  }
}
