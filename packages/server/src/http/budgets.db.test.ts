/** Budgets and usage over the wire; a session's own through the official SDK. */
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { budgetList, usageReport } from "@exoloop/protocol/budgets";
import { session as sessionSchema } from "@exoloop/protocol/sessions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publicEvent } from "../sessions/event.ts";
import { appendAsDriver, claimSession } from "../sessions/log.ts";
import { type TestServer, startTestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const limit = (amount: string) => ({ type: "limit" as const, max_list_cost: { amount, currency: "USD" as const } });

async function newCaller(scopes: readonly ("admin" | "sessions")[] = ["admin"]) {
  const { apiKey, principal } = await server.newOrganization(scopes);
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  const send = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${server.listener.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get("content-type")?.startsWith("application/json") === true;
    return { status: response.status, text, answer: (json ? JSON.parse(text) : null) as Record<string, never> };
  };
  return { sdk, apiKey, principal, send };
}

async function newSessions() {
  const caller = await newCaller();
  const { sdk } = caller;
  const agent = await sdk.beta.agents.create({ name: "a", model: "scripted" });
  const environment = await sdk.beta.environments.create({ name: "e" });
  type More = Partial<Anthropic.Beta.SessionCreateParams> & { x_exoloop?: object };
  const create = (more: More = {}) =>
    sdk.beta.sessions.create({ agent: agent.id, environment_id: environment.id, ...more });
  return { ...caller, agent, create };
}

/** A model call of 1,000 tokens and two cents, and a tool call of two seconds. */
async function use(sessionId: string): Promise<void> {
  const { database } = server.test;
  const claim = await claimSession(database, sessionId);
  if (claim === null) throw new Error("no claim");
  const usage = {
    input_tokens: 600,
    output_tokens: 100,
    cache_read_input_tokens: 200,
    cache_creation_input_tokens: 100,
  };
  await appendAsDriver(database, claim, [
    publicEvent("span.model_request_start", {}),
    publicEvent("span.model_request_end", { is_error: false, model_usage: usage }, { record: { cost_micros: 20_000 } }),
    publicEvent("agent.tool_result", { tool_use_id: "sevt_1" }, { record: { sandbox_awake_ms: 2_000 } }),
  ]);
}

async function codeOf(request: Promise<unknown>): Promise<unknown> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof APIError ? error.errorCode : error;
}

describe("a session's budget", () => {
  it("is set when it is created, raised, and removed for good", async () => {
    const { sdk, create } = await newSessions();
    const { id, budget } = await create({ budget: limit("2500") });
    expect(budget).toEqual(limit("2500"));
    await use(id);
    expect(await codeOf(sdk.beta.sessions.update(id, { budget: limit("2") }))).toBe("budget_not_raised");
    server.woken.length = 0;
    expect((await sdk.beta.sessions.update(id, { budget: limit("3") })).budget).toEqual(limit("3"));
    expect(server.woken).toEqual([id]);
    const removed = await sdk.beta.sessions.update(id, { budget: null });
    expect(removed.budget).toBeNull();
    expect(removed.usage).toMatchObject({ input_tokens: 600, list_cost: { amount: "2", currency: "USD" } });
    expect(await codeOf(sdk.beta.sessions.update(id, { budget: limit("9") }))).toBe("budget_create_only");
    const updates = await sdk.beta.sessions.events.list(id, { types: ["session.updated"] });
    expect(updates.data).toMatchObject([{ budget: limit("3") }, { budget: null }]);
    const { id: without } = await create();
    expect(await codeOf(sdk.beta.sessions.update(without, { budget: limit("9") }))).toBe("budget_create_only");
  });

  it("has further limits, which may be set at any time", async () => {
    const { send, create } = await newSessions();
    const { id } = await create({ x_exoloop: { budget: { steps: 10, wall_seconds: 1.5 } } });
    await use(id);
    const path = `/v1/sessions/${id}`;
    const patch = (budget: object | null) => send("POST", path, { x_exoloop: { budget } });
    const shown = sessionSchema.parse((await patch({ cost_usd: 0.5, wall_seconds: null, tokens: 1_001 })).answer);
    expect(shown.budget).toEqual(limit("50"));
    expect(shown.x_exoloop.budget).toEqual({
      limits: { tokens: 1_001, cost_usd: 0.5, steps: 10 },
      used: { tokens: 1_000, cost_usd: 0.02, wall_seconds: 0, steps: 2, sandbox_seconds: 2 },
      reached: null,
    });
    const low = await patch({ steps: 50, sandbox_seconds: 2 });
    expect(low.answer).toMatchObject({ error: { code: "budget_not_raised" } });
    expect(low.text).toContain("x_exoloop.budget.sandbox_seconds");
    expect((await send("GET", path)).answer).toMatchObject({ x_exoloop: { budget: { limits: { steps: 10 } } } });
    expect((await patch(null)).answer).toMatchObject({ budget: null, x_exoloop: { budget: { limits: {} } } });
  });

  it("of money needs models with a price", async () => {
    const { sdk, send, create } = await newSessions();
    const other = await sdk.beta.agents.create({ name: "b", model: "compatible/own" });
    expect(await codeOf(create({ agent: other.id, budget: limit("100") }))).toBe("model_not_budgetable");
    const { id } = await create({ agent: other.id });
    const money = await send("POST", `/v1/sessions/${id}`, { x_exoloop: { budget: { cost_usd: 1 } } });
    expect(money.answer).toMatchObject({ error: { code: "model_not_budgetable" } });
    const tokens = await send("POST", `/v1/sessions/${id}`, { x_exoloop: { budget: { tokens: 1 } } });
    expect(tokens.status).toBe(200);
  });

  it.each([
    [{ budget: limit("0") }, "at least one cent"],
    [{ budget: limit("025") }, "whole cents"],
    [{ budget: { type: "limit", max_list_cost: { amount: 25, currency: "USD" } } }, "budget.max_list_cost.amount"],
    [{ budget: { type: "limit", max_list_cost: { amount: "25", currency: "EUR" } } }, "budget.max_list_cost.currency"],
    [{ budget: limit("25"), x_exoloop: { budget: { cost_usd: 1 } } }, "says it already"],
    [{ x_exoloop: { budget: { steps: 0 } } }, "x_exoloop.budget.steps"],
    [{ x_exoloop: { budget: { steps: 1.5 } } }, "x_exoloop.budget.steps"],
    [{ x_exoloop: { budget: { euros: 1 } } }, "euros"],
  ])("that is %j is refused, and no session is made", async (more, text) => {
    const { sdk, send, agent } = await newSessions();
    const [environment] = (await sdk.beta.environments.list()).data;
    const request = { agent: agent.id, environment_id: environment?.id, ...more };
    const { status, text: answer } = await send("POST", "/v1/sessions", request);
    expect([status, answer]).toEqual([400, expect.stringContaining(text)]);
    expect((await sdk.beta.sessions.list()).data).toEqual([]);
  });
});

describe("shared budgets and usage", () => {
  const path = "/v1/x/budgets";
  it("are set, replaced, listed and removed", async () => {
    const { send, create, principal } = await newSessions();
    const { id } = await create();
    await use(id);
    const name = { scope: "organization", period: "month" };
    expect((await send("PUT", path, { ...name, limits: { cost_usd: 5 } })).status).toBe(200);
    expect((await send("PUT", path, { ...name, limits: { steps: 2 } })).status).toBe(200);
    const user = { scope: "user", subject: principal.apiKeyId, period: "total", limits: { tokens: 5_000 } };
    expect((await send("PUT", path, user)).status).toBe(200);
    const { data } = budgetList.parse((await send("GET", path)).answer);
    const used = { tokens: 1_000, cost_usd: 0.02, wall_seconds: 0, steps: 2, sandbox_seconds: 2 };
    expect(data).toMatchObject([
      { ...name, subject: principal.organizationId, limits: { steps: 2 }, used, reached: { kind: "steps" } },
      { ...user, used, reached: null, resets_at: null },
    ]);
    expect((await send("DELETE", `${path}?scope=organization&period=month`)).answer).toMatchObject({
      type: "budget_deleted",
    });
    expect((await send("DELETE", `${path}?scope=organization&period=month`)).status).toBe(404);
    expect(budgetList.parse((await send("GET", path)).answer).data).toHaveLength(1);
    const stranger = await newCaller();
    expect(budgetList.parse((await stranger.send("GET", path)).answer).data).toEqual([]);
  });

  it("wake the sessions that they held, and no others, when they change", async () => {
    const { send, create, principal } = await newSessions();
    const { database } = server.test;
    const held = await create();
    await create();
    const strangers = await newSessions();
    const other = await strangers.create();
    for (const { id } of [held, other]) {
      await database.updateTable("sessions").set({ held_by_budget: true }).where("id", "=", id).execute();
    }
    server.woken.length = 0;
    const name = { scope: "user", subject: principal.apiKeyId, period: "day" };
    expect((await send("PUT", path, { ...name, limits: { steps: 9 } })).status).toBe(200);
    expect(server.woken).toEqual([held.id]);
    expect((await send("DELETE", `${path}?${new URLSearchParams(name).toString()}`)).status).toBe(200);
    expect(server.woken).toEqual([held.id, held.id]);
  });

  it.each([
    [{ scope: "user", period: "day", limits: { steps: 1 } }, 400, "needs one"],
    [{ scope: "organization", subject: "org_other", period: "day", limits: { steps: 1 } }, 400, "subject"],
    [{ scope: "user", subject: "key_unknown", period: "day", limits: { steps: 1 } }, 404, "no API key"],
    [{ scope: "organization", period: "day", limits: {} }, 400, "none is given"],
    [{ scope: "organization", period: "week", limits: { steps: 1 } }, 400, "period"],
    [{ scope: "organization", period: "day", limits: { steps: -1 } }, 400, "limits.steps"],
  ])("%j is refused, and nothing is set", async (body, status, text) => {
    const { send } = await newCaller();
    const refused = await send("PUT", path, body);
    expect([refused.status, refused.text]).toEqual([status, expect.stringContaining(text)]);
    expect(budgetList.parse((await send("GET", path)).answer).data).toEqual([]);
  });

  it("need a key with the scope admin", async () => {
    const { send } = await newCaller(["sessions"]);
    const body = { scope: "organization", period: "day", limits: { steps: 1 } };
    for (const [method, where, sent] of [
      ["GET", path],
      ["PUT", path, body],
      ["DELETE", `${path}?scope=organization&period=day`],
      ["GET", "/v1/x/usage"],
    ] as const) {
      expect((await send(method, where, sent)).status).toBe(403);
    }
  });

  it("are reported by period, scope and subject, also as CSV", async () => {
    const { send, create, principal } = await newSessions();
    const { id } = await create();
    await use(id);
    await use((await create()).id);
    const today = new Date().toISOString().slice(0, 10);
    const total = { input_tokens: 1_200, output_tokens: 200, cost_usd: 0.04, steps: 4, sandbox_seconds: 4 };
    const { data, truncated } = usageReport.parse((await send("GET", "/v1/x/usage?period=day")).answer);
    expect(truncated).toBe(false);
    expect(data).toMatchObject([
      { scope: "organization", subject: principal.organizationId, period_start: today, ...total },
      { scope: "user", subject: principal.apiKeyId, period_start: today, ...total },
    ]);
    const month = usageReport.parse((await send("GET", "/v1/x/usage?scope=user")).answer);
    expect(month.data).toMatchObject([{ period: "month", period_start: `${today.slice(0, 7)}-01`, ...total }]);
    const past = await send("GET", "/v1/x/usage?period=total&to=2001-01-01");
    expect(usageReport.parse(past.answer).data).toEqual([]);
    const csv = await send("GET", `/v1/x/usage?period=total&scope=user&format=csv&from=${today}`);
    expect(csv.text.split("\r\n")).toEqual([
      "scope,subject,period,period_start,input_tokens,output_tokens,cache_read_input_tokens,cache_creation_input_tokens,cost_usd,steps,sandbox_seconds,running_seconds",
      `user,${principal.apiKeyId},total,${today},1200,200,400,200,0.04,4,4,0`,
      "",
    ]);
    for (const query of ["period=week", "from=yesterday", "from=2030-01-02&to=2030-01-01", "format=xml", "colour=1"]) {
      expect((await send("GET", `/v1/x/usage?${query}`)).status, query).toBe(400);
    }
  });
});
