import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer } from "./testing.ts";

type Server = Awaited<ReturnType<typeof startTestServer>>;

describe("Idempotency-Key", () => {
  let server: Server;
  let apiKey: string;
  beforeAll(async () => {
    server = await startTestServer();
    ({ apiKey } = await server.newOrganization());
  });
  afterAll(() => server.stop());

  async function post(path: string, body: object, idempotencyKey: string, authorization = apiKey) {
    const response = await fetch(`${server.listener.url}${path}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${authorization}`,
        "content-type": "application/json",
        "idempotency-key": idempotencyKey,
      },
      body: JSON.stringify(body),
    });
    return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
  }
  const agent = (name: string) => ({ name, model: "scripted" });
  const count = async () => {
    const rows = await server.test.database.selectFrom("agents").select("id").execute();
    return rows.length;
  };

  it("does the same request once and answers it alike", async () => {
    const before = await count();
    const first = await post("/v1/agents", agent("once"), "key-1");
    const second = await post("/v1/agents", agent("once"), "key-1");
    expect(second).toEqual(first);
    expect(first.status).toBe(200);
    expect(await count()).toBe(before + 1);
  });

  it("does one of many that arrive at once", async () => {
    const before = await count();
    const answers = await Promise.all(Array.from({ length: 8 }, () => post("/v1/agents", agent("many"), "key-2")));
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect(answers.some(({ status }) => status === 200)).toBe(true);
    expect(await count()).toBe(before + 1);
  });

  it("refuses the key with another request, and repeats a refusal", async () => {
    await post("/v1/agents", agent("first"), "key-3");
    expect((await post("/v1/agents", agent("second"), "key-3")).answer).toMatchObject({
      error: { code: "idempotency_key_reused" },
    });
    const refused = { name: "x", model: "scripted", tools: [{ type: "mcp_toolset", mcp_server_name: "none" }] };
    const [one, two] = [await post("/v1/agents", refused, "key-4"), await post("/v1/agents", refused, "key-4")];
    expect([one.status, two.status]).toEqual([400, 400]);
    expect(two.answer["error"]).toEqual(one.answer["error"]);
  });

  it("keeps organizations apart", async () => {
    const other = await server.newOrganization();
    const mine = await post("/v1/agents", agent("mine"), "key-5");
    const theirs = await post("/v1/agents", agent("theirs"), "key-5", other.apiKey);
    expect([mine.status, theirs.status]).toEqual([200, 200]);
    expect(theirs.answer["id"]).not.toBe(mine.answer["id"]);
  });

  it("does not do again what began and never ended", async () => {
    await post("/v1/agents", agent("lost"), "key-6");
    await server.test.database.updateTable("idempotent_requests").set({ status: null, answer: "null" }).execute();
    const before = await count();
    const again = await post("/v1/agents", agent("lost"), "key-6");
    expect(again).toMatchObject({ status: 409, answer: { error: { code: "idempotency_in_progress" } } });
    const past = new Date(Date.now() - 20 * 60_000);
    await server.test.database.updateTable("idempotent_requests").set({ created_at: past }).execute();
    expect((await post("/v1/agents", agent("lost"), "key-6")).answer).toMatchObject({
      error: { code: "idempotency_outcome_unknown" },
    });
    expect(await count()).toBe(before);
  });

  it("takes no key that is too long", async () => {
    expect((await post("/v1/agents", agent("long"), "k".repeat(256))).status).toBe(400);
  });
});
