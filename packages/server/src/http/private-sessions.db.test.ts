/** Who may see and drive whose sessions, asked of every route that names one. */
import { createId } from "@exoloop/protocol/ids";
import { primaryThreadId } from "@exoloop/protocol/threads";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { type SessionUse, mayUse, openTo } from "../sessions/access.ts";
import { codeOf, newCompany as newCompanyOf, startServerWithRoom } from "./testing-people.ts";
import { appendMessage, type TestServer } from "./testing.ts";

type Company = Awaited<ReturnType<typeof newCompanyOf>>;

let server: TestServer;
let company: Company;
let stranger: Company;
beforeAll(async () => {
  server = await startServerWithRoom();
  [company, stranger] = [await newCompany(), await newCompany()];
});
afterAll(() => server.stop());

const newCompany = () => newCompanyOf(server);

/** Every route of a session, with a body where it needs one. */
type Route = readonly [method: string, path: string, body?: object];
const routes: readonly Route[] = [
  ["GET", "/v1/sessions/ID/events"],
  ["GET", "/v1/sessions/ID/events/stream"],
  ["POST", "/v1/sessions/ID/events", { events: [{ type: "user.interrupt" }] }],
  ["POST", "/v1/sessions/ID", { title: "mine" }],
  ["GET", "/v1/sessions/ID/threads"],
  ["GET", "/v1/sessions/ID/threads/THREAD"],
  ["GET", "/v1/sessions/ID/threads/THREAD/events"],
  ["GET", "/v1/sessions/ID/threads/THREAD/stream"],
  ["POST", "/v1/sessions/ID/threads/THREAD/archive"],
  ["GET", "/v1/x/sessions/ID/snapshots"],
  ["POST", "/v1/x/sessions/ID/snapshots/SNAPSHOT", { kept: true }],
  ["GET", "/v1/x/sessions/ID/sandbox"],
  ["POST", "/v1/x/sessions/ID/sandbox/kill"],
  ["POST", "/v1/x/sessions/ID/sandbox/move", { provider: "memory" }],
  ["POST", "/v1/x/sessions/ID/previews", { port: 80 }],
  ["POST", "/v1/x/sessions/ID/commands", { command: "true" }],
  ["GET", "/v1/x/sessions/ID/commands"],
  ["GET", "/v1/x/sessions/ID/commands/sevt_1/output"],
  ["POST", "/v1/x/sessions/ID/commands/sevt_1/signal", { signal: "SIGKILL" }],
  ["POST", "/v1/x/sessions/ID/commands/sevt_1/lease", { seconds: 60 }],
  ["POST", "/v1/x/sessions/ID/share"],
  ["GET", "/v1/sessions/ID/resources"],
  ["GET", "/v1/sessions/ID/resources/RESOURCE"],
  ["POST", "/v1/sessions/ID/resources", { type: "memory_store", memory_store_id: "memstore_1" }],
  ["DELETE", "/v1/sessions/ID/resources/RESOURCE"],
];
const overseen: readonly Route[] = [
  ["GET", "/v1/sessions/ID"],
  ["POST", "/v1/sessions/ID/archive"],
  ["DELETE", "/v1/sessions/ID"],
];

const named = (list: readonly Route[]) => list.map((route) => ({ name: `${route[0]} ${route[1]}`, route }));

async function ask(apiKey: string, sessionId: string, [method, path, body]: Route) {
  const named = path
    .replace("ID", sessionId)
    .replace("THREAD", primaryThreadId(sessionId))
    .replace("SNAPSHOT", createId("snapshot"))
    .replace("RESOURCE", createId("memoryStore"));
  const response = await fetch(new URL(named, server.listener.url), {
    method,
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = response.ok ? null : ((await response.json()) as { error: { code: string; message: string } });
  if (response.ok) await response.body?.cancel();
  return { status: response.status, code: answer?.error.code ?? "ok", message: answer?.error.message ?? "" };
}

test("every route of the server that names a session is asked here", async () => {
  const description = (await (await fetch(new URL("/openapi.json", server.listener.url))).json()) as {
    paths: Record<string, object>;
  };
  const described = Object.entries(description.paths).flatMap(([path, methods]) =>
    path.includes("{session_id}") ? Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`) : [],
  );
  const asked = [...routes, ...overseen].map(
    ([method, path]) =>
      `${method} ${path
        .replace("ID", "{session_id}")
        .replace("THREAD", "{thread_id}")
        .replace("SNAPSHOT", "{snapshot_id}")
        .replace("RESOURCE", "{resource_id}")
        .replace("sevt_1", "{command_id}")}`,
  );
  // Refused whatever the session is.
  const closed = "POST /v1/sessions/{session_id}/resources/{resource_id}";
  expect([...new Set(asked)].sort()).toEqual(described.filter((route) => route !== closed).sort());
});

describe("a private session", () => {
  it.each(named([...routes, ...overseen]))("is not there for somebody else: $name", async ({ route }) => {
    const { ann, bob, create } = company;
    const { id } = await create(ann.apiKey);
    const none = createId("session");
    const refused = await ask(bob.apiKey, id, route);
    expect(refused).toMatchObject({ status: 404, code: "not_found" });
    // Word for word what is said of one that does not exist.
    expect(refused.message.replace(id, none)).toBe((await ask(bob.apiKey, none, route)).message);
    expect(await ask(stranger.admin, id, route)).toMatchObject({ status: 404 });
    expect(await ask(stranger.ann.apiKey, id, route)).toMatchObject({ status: 404 });
  });

  it.each(named(routes))("is closed to an admin who did not make it: $name", async ({ route }) => {
    const { ann, admin, create } = company;
    const { id } = await create(ann.apiKey);
    expect(await ask(admin, id, route)).toMatchObject({ status: 403, code: "forbidden" });
  });

  it("shows an admin its figures, and may be ended by one; what was written stays unseen", async () => {
    const { ann, bob, admin, connect, create } = await newCompany();
    const { id } = await create(ann.apiKey);
    await appendMessage(server, id, "the secret");
    const seen = await connect(admin).sessions.retrieve(id);
    expect(seen).toMatchObject({
      title: null,
      metadata: {},
      x_exoloop: { user_id: ann.userId, visibility: "private" },
    });
    const list = (apiKey: string) =>
      connect(apiKey)
        .sessions.list()
        .then(({ data }) => data.map((one) => one.title));
    expect(await list(admin)).toEqual([null]);
    expect(await list(ann.apiKey)).toEqual(["Secret"]);
    expect(await list(bob.apiKey)).toEqual([]);
    const mine = await connect(admin).sessions.list({ x_user_id: bob.userId });
    expect(mine.data).toEqual([]);
    expect((await connect(admin).sessions.archive(id)).archived_at).not.toBeNull();
    await connect(admin).sessions.delete(id);
    expect(await codeOf(connect(ann.apiKey).sessions.retrieve(id))).toBe("not_found");
  });

  it("is driven by its person with any key of theirs, and by the key that made it for them", async () => {
    const { ann, bob, admin, organizationId, connect, create } = await newCompany();
    const { id } = await create(admin, { user_id: ann.userId });
    await appendMessage(server, id, "hello");
    const second = await connect(admin).users.createKey(ann.userId);
    const other = await connect(admin).users.createKey(bob.userId, { scopes: ["admin"] });
    for (const key of [ann.apiKey, second.api_key, admin]) {
      expect((await connect(key).events.list(id)).data.length).toBe(1);
    }
    expect(await codeOf(connect(bob.apiKey).events.list(id))).toBe("not_found");
    expect(await codeOf(connect(other.api_key).events.list(id))).toBe("forbidden");
    await connect(admin).users.archive(ann.userId);
    expect(await codeOf(connect(ann.apiKey).events.list(id))).toBe("unauthenticated");
    expect(organizationId).toMatch(/^org_/);
  });

  it("hides its sandbox from lists, and its snapshots from new sessions, also when it is deleted", async () => {
    const { ann, bob, admin, connect, create } = await newCompany();
    const { id } = await create(ann.apiKey);
    await connect(ann.apiKey).commands.run(id, { command: "echo secret > /workspace/a.txt" });
    const sandboxes = async (apiKey: string) =>
      (await connect(apiKey).sandboxes.list()).data.map((one) => one.session_id);
    expect([await sandboxes(ann.apiKey), await sandboxes(bob.apiKey), await sandboxes(admin)]).toEqual([
      [id],
      [],
      [id],
    ]);
    const figures = { logical_bytes: 1, stored_bytes: 1, files: 1, left_out: 0, generation: 1, manifest_sha256: "0" };
    const snapshot = createId("snapshot");
    const { organizationId } = ann.principal;
    await server.test.database
      .insertInto("snapshots")
      .values({ id: snapshot, organization_id: organizationId, session_id: id, parent_id: null, ...figures, blobs: [] })
      .execute();
    const begin = (apiKey: string, more: object = {}) =>
      codeOf(create(apiKey, { workspace_snapshot: snapshot, ...more }));
    const judged = async () => [
      await begin(bob.apiKey),
      await begin(admin),
      await begin(ann.apiKey, { visibility: "shared" }),
      await begin(ann.apiKey),
    ];
    expect(await judged()).toEqual(["not_found", "not_found", "invalid_request", "ok"]);
    await connect(ann.apiKey).sessions.delete(id);
    expect(await judged()).toEqual(["not_found", "not_found", "invalid_request", "ok"]);
    const shared = await connect(ann.apiKey).sessions.list();
    expect(shared.data.every((one) => one.x_exoloop.visibility === "private")).toBe(true);
  });

  it("is not the answer to somebody else's request with the same idempotency key", async () => {
    const { ann, bob, create, connect } = await newCompany();
    const { agent, environment_id } = await create(ann.apiKey);
    const send = async (apiKey: string) => {
      const response = await fetch(new URL("/v1/sessions", server.listener.url), {
        method: "POST",
        headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", "idempotency-key": "1" },
        body: JSON.stringify({ agent: agent.id, environment_id }),
      });
      return ((await response.json()) as { id: string }).id;
    };
    const [first, again, other] = [await send(ann.apiKey), await send(ann.apiKey), await send(bob.apiKey)];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    expect((await connect(bob.apiKey).sessions.retrieve(other)).x_exoloop.user_id).toBe(bob.userId);
  });
});

describe("whose a new session is", () => {
  it("its maker's, private, unless asked otherwise; of a key that is nobody's: everybody's", async () => {
    const { ann, bob, admin, create } = await newCompany();
    const ownerOf = async (made: ReturnType<typeof create>) => {
      const { user_id, visibility } = (await made).x_exoloop;
      return [user_id, visibility];
    };
    expect(await ownerOf(create(ann.apiKey))).toEqual([ann.userId, "private"]);
    expect(await ownerOf(create(ann.apiKey, { user_id: ann.userId }))).toEqual([ann.userId, "private"]);
    expect(await ownerOf(create(ann.apiKey, { visibility: "shared" }))).toEqual([ann.userId, "shared"]);
    expect(await ownerOf(create(admin))).toEqual([null, "shared"]);
    expect(await ownerOf(create(admin, { user_id: bob.userId }))).toEqual([bob.userId, "private"]);
  });

  it.each([
    ["somebody else's, without being an admin", "ann", "bob", {}, "forbidden"],
    ["of somebody who does not exist", "admin", "user_none", {}, "not_found"],
    ["private to nobody", "admin", null, { visibility: "private" }, "invalid_request"],
    ["of another organization's person", "admin", "stranger", {}, "not_found"],
  ])("is refused: %s", async (_name, key, whose, more, code) => {
    const ids: Record<string, string> = { bob: company.bob.userId, stranger: stranger.ann.userId };
    const user = whose === null ? {} : { user_id: ids[whose] ?? whose };
    const made = company.create(key === "ann" ? company.ann.apiKey : company.admin, { ...user, ...more });
    expect(await codeOf(made)).toBe(code);
  });
});

test("the rule as a condition of a query is the rule", async () => {
  const { ann, bob, admin, organizationId, create } = company;
  const made = [
    await create(ann.apiKey),
    await create(admin, { user_id: ann.userId }),
    await create(admin),
    await create(bob.apiKey, { visibility: "shared" }),
    await stranger.create(stranger.ann.apiKey),
  ];
  const { database } = server.test;
  const principals = [
    ann.principal,
    bob.principal,
    stranger.ann.principal,
    { organizationId, apiKeyId: "key_other", scopes: ["admin"] },
    { organizationId, apiKeyId: "key_other", scopes: ["sessions"] },
    { ...bob.principal, scopes: ["admin"] },
  ];
  const ids = made.map(({ id }) => id);
  for (const principal of principals) {
    for (const use of ["drive", "oversee"] satisfies SessionUse[]) {
      const all = await database.selectFrom("sessions").selectAll().where("id", "in", ids).execute();
      const open = await database
        .selectFrom("sessions")
        .select("id")
        .where("id", "in", ids)
        .where(openTo(principal, use))
        .execute();
      const expected = all.filter((row) => mayUse(principal, row, use)).map(({ id }) => id);
      expect(open.map(({ id }) => id).sort()).toEqual(expected.sort());
    }
  }
});
