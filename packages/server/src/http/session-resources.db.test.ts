/** What is attached to sessions, over the wire, through the official SDK. */
import Anthropic from "@anthropic-ai/sdk";
import type { BetaManagedAgentsMemoryStoreResourceParam as StoreParam } from "@anthropic-ai/sdk/resources/beta/sessions/sessions";
import { session as sessionSchema } from "@exoloop/protocol/sessions";
import { afterAll, beforeAll, expect, test } from "vitest";
import { enqueueWork } from "../work/enqueue.ts";
import { newMemoryCaller, newSession, refusalOf } from "./testing-memory.ts";
import { type TestServer, startTestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const attach = (memory_store_id: string, more: Partial<StoreParam> = {}): StoreParam => ({
  type: "memory_store",
  memory_store_id,
  ...more,
});

/** The SDK types files only: this server takes stores too. */
async function add(sdk: Anthropic, sessionId: string, input: object): Promise<unknown> {
  return sdk.post(`/v1/sessions/${sessionId}/resources`, { body: input });
}

test("a session has the stores that it was created with, as they were then", async () => {
  const { sdk, stores } = await newMemoryCaller(server);
  const notes = await stores.create({ name: "Team Notes", description: "What we know." });
  const same = await stores.create({ name: "team notes" });
  const org = await stores.create({ name: "org" });
  const created = await newSession(sdk, [
    attach(notes.id, { instructions: "Read first.", access: "read_only" }),
    attach(same.id, { access: null, instructions: null }),
    attach(org.id),
  ]);
  expect(sessionSchema.safeParse(created).error).toBeUndefined();
  const first = {
    type: "memory_store",
    memory_store_id: notes.id,
    access: "read_only",
    instructions: "Read first.",
    mount_path: "/mnt/memory/team-notes",
    name: "Team Notes",
    description: "What we know.",
  };
  expect(created.resources).toEqual([
    first,
    expect.objectContaining({ access: "read_write", instructions: null, mount_path: "/mnt/memory/team-notes-2" }),
    expect.objectContaining({ mount_path: "/mnt/memory/org-2", description: "" }),
  ]);
  await stores.update(notes.id, { name: "Renamed", description: "" });
  expect((await sdk.beta.sessions.retrieve(created.id)).resources[0]).toEqual(first);
  const { data } = await sdk.beta.sessions.resources.list(created.id);
  expect(data).toEqual(created.resources);
  expect(await sdk.beta.sessions.resources.retrieve(notes.id, { session_id: created.id })).toEqual(first);
  const listed = async (memory_store_id: string) =>
    (await sdk.beta.sessions.list({ memory_store_id })).data.map((session) => session.id);
  expect(await listed(notes.id)).toEqual([created.id]);
  expect(await listed("memstore_none")).toEqual([]);
});

test("stores come and go while the session goes on", async () => {
  const { sdk, stores } = await newMemoryCaller(server);
  const { resources } = sdk.beta.sessions;
  const [one, two] = [await stores.create({ name: "one" }), await stores.create({ name: "two" })];
  const { id: session_id } = await newSession(sdk, [attach(one.id)]);
  expect(await add(sdk, session_id, attach(two.id))).toMatchObject({ mount_path: "/mnt/memory/two" });
  expect(await refusalOf(add(sdk, session_id, attach(two.id)))).toMatchObject({ code: "invalid_request" });
  expect(await resources.delete(one.id, { session_id })).toEqual({ id: one.id, type: "session_resource_deleted" });
  expect(await refusalOf(resources.delete(one.id, { session_id }))).toMatchObject({ code: "not_found" });
  expect(await refusalOf(resources.retrieve(one.id, { session_id }))).toMatchObject({ code: "not_found" });
  await stores.update(one.id, { name: "another name" });
  // The directory that the model knows for it.
  expect(await add(sdk, session_id, attach(one.id))).toMatchObject({ mount_path: "/mnt/memory/one" });
  expect((await sdk.beta.sessions.retrieve(session_id)).resources).toHaveLength(2);
  const token = resources.update(one.id, { session_id, authorization_token: "t" });
  expect(await refusalOf(token)).toMatchObject({ status: 400, code: "unsupported" });
  await sdk.beta.sessions.archive(session_id);
  expect(await refusalOf(resources.delete(one.id, { session_id }))).toMatchObject({ code: "session_archived" });
});

test("what cannot be attached is refused, and no session is made", async () => {
  const { sdk, stores } = await newMemoryCaller(server);
  const own = await stores.retrieve("memstore_org");
  const gone = await stores.create({ name: "archived" });
  await stores.archive(gone.id);
  const foreign = await (await newMemoryCaller(server)).stores.create({ name: "foreign" });
  const nine = await Promise.all(Array.from({ length: 9 }, (_, index) => stores.create({ name: `n${index}` })));
  const { id: session_id } = await newSession(sdk);
  for (const [wrong, code] of [
    [[attach("memstore_none")], "memory_store_not_found"],
    [[attach(foreign.id)], "memory_store_not_found"],
    [[attach(gone.id)], "memory_store_archived"],
    [[attach(own.id)], "invalid_request"],
    [nine.map((store) => attach(store.id)), "invalid_request"],
    [[attach(nine[0]?.id ?? ""), attach(nine[0]?.id ?? "")], "invalid_request"],
    [[attach(nine[0]?.id ?? "", { instructions: "i".repeat(4097) })], "invalid_request"],
    [[{ type: "github_repository", url: "https://github.com/a/b" }], "unsupported"],
  ] as const) {
    expect(await refusalOf(newSession(sdk, [...wrong] as StoreParam[]))).toMatchObject({ code });
    const [only] = wrong;
    if (wrong.length === 1) expect(await refusalOf(add(sdk, session_id, only))).toMatchObject({ code });
  }
  expect((await sdk.beta.sessions.list()).data).toHaveLength(1);
  const other = (await newMemoryCaller(server)).sdk;
  expect(await refusalOf(add(other, session_id, attach(foreign.id)))).toMatchObject({ code: "not_found" });
  for (const read of [
    async () => other.beta.sessions.resources.list(session_id),
    () => other.beta.sessions.resources.retrieve(own.id, { session_id }),
    () => other.beta.sessions.resources.delete(own.id, { session_id }),
  ]) {
    expect(await refusalOf(read())).toMatchObject({ code: "not_found" });
  }
});

test("a deployment gives its stores to its sessions", async () => {
  const { sdk, stores } = await newMemoryCaller(server);
  const store = await stores.create({ name: "nightly" });
  const agent = await sdk.beta.agents.create({ name: "a", model: "m" });
  const environment = await sdk.beta.environments.create({ name: "e" });
  const create = (resources: StoreParam[]) =>
    sdk.beta.deployments.create({
      name: "nightly",
      agent: agent.id,
      environment_id: environment.id,
      initial_events: [{ type: "user.message", content: [{ type: "text", text: "Go." }] }],
      resources,
    });
  const { id, resources } = await create([attach(store.id, { access: "read_only" })]);
  expect(resources).toEqual([attach(store.id, { access: "read_only", instructions: null })]);
  const run = await sdk.beta.deployments.run(id);
  expect((await sdk.beta.sessions.retrieve(run.session_id ?? "")).resources).toMatchObject([
    { memory_store_id: store.id, access: "read_only" },
  ]);
  expect((await sdk.beta.deployments.update(id, { name: "x" })).resources).toEqual(resources);
  await stores.archive(store.id);
  expect((await sdk.beta.deployments.run(id)).error?.type).toBe("memory_store_archived_error");
  await stores.delete(store.id);
  expect((await sdk.beta.deployments.run(id)).error?.type).toBe("session_resource_not_found_error");
  expect(await refusalOf(create([attach(store.id)]))).toMatchObject({ code: "memory_store_not_found" });
  expect((await sdk.beta.deployments.update(id, { resources: null })).resources).toEqual([]);
  expect((await sdk.beta.deployments.run(id)).error).toBeNull();
});

test("a worker's token uses the stores of its session, as they are attached, and no others", async () => {
  const { sdk, stores } = await newMemoryCaller(server);
  const [open, closed, other] = [
    await stores.create({ name: "open" }),
    await stores.create({ name: "closed" }),
    await stores.create({ name: "other" }),
  ];
  for (const { id } of [open, closed, other]) await stores.memories.create(id, { path: "/a.md", content: "a" });
  const agent = await sdk.beta.agents.create({ name: "a", model: "m" });
  const environment = await sdk.beta.environments.create({ name: "w", config: { type: "self_hosted" } });
  const resources = [attach(open.id), attach(closed.id, { access: "read_only" })];
  const session = await sdk.beta.sessions.create({ agent: agent.id, environment_id: environment.id, resources });
  await server.test.database
    .transaction()
    .execute((transaction) => enqueueWork(transaction, server.notices, session.id));
  const key = await sdk.post<{ key: string }>(`/v1/x/environments/${environment.id}/keys`, { body: { name: "w" } });
  const connect = (authToken: string) =>
    new Anthropic({ baseURL: server.listener.url, apiKey: null, authToken, maxRetries: 0 });
  const item = await connect(key.key).beta.environments.work.poll(environment.id, {});
  const secret = JSON.parse(Buffer.from(item?.secret ?? "", "base64url").toString()) as { sessions_token: string };
  const worker = connect(secret.sessions_token).beta.memoryStores;
  const { memories } = worker;

  const written = await memories.create(open.id, { path: "/b.md", content: "b" });
  await memories.update(written.id, { memory_store_id: open.id, content: "c", path: "/c.md" });
  const [version] = (await stores.memoryVersions.list(open.id, { memory_id: written.id })).data;
  expect(version?.created_by).toEqual({ type: "session_actor", session_id: session.id });
  await memories.delete(written.id, { memory_store_id: open.id });
  const [item1] = (await memories.list(closed.id, { view: "full" })).data;
  if (item1?.type !== "memory") throw new Error("no memory");
  expect(item1.content).toBe("a");
  for (const refused of [
    () => memories.create(closed.id, { path: "/b.md", content: "b" }),
    () => memories.update(item1.id, { memory_store_id: closed.id, content: "x" }),
    () => memories.delete(item1.id, { memory_store_id: closed.id }),
    () => worker.create({ name: "x" }),
    () => worker.delete(open.id),
  ]) {
    expect(await refusalOf(refused())).toMatchObject({ status: 403, code: "forbidden" });
  }
  for (const id of [other.id, "memstore_org", (await stores.retrieve("memstore_org")).id]) {
    expect(await refusalOf((async () => memories.list(id))())).toMatchObject({ status: 404, code: "not_found" });
    expect(await refusalOf(memories.create(id, { path: "/b.md", content: "" }))).toMatchObject({ code: "not_found" });
  }
  await sdk.beta.sessions.resources.delete(open.id, { session_id: session.id });
  expect(await refusalOf((async () => memories.list(open.id))())).toMatchObject({ code: "not_found" });
  await stores.archive(closed.id);
  expect((await memories.list(closed.id)).data).toHaveLength(1);
});
