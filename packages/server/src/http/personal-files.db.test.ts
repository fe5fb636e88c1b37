/** A person's own memory, over every route of stored files: asked for by others it is what does not exist. */
import { createId } from "@exoloop/protocol/ids";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { personalMemoryMount } from "../files/mounts.ts";
import { createStoredFiles } from "../files/postgres/stored-files.ts";
import { encodeText } from "../files/text.ts";
import { createEnvironmentKeys } from "../orgs/environment-keys.ts";
import { createWorkToken } from "../orgs/work-tokens.ts";
import { encodeCursor } from "./pages.ts";
import { newCompany } from "./testing-people.ts";
import { startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(() => server?.stop());

const root = "/v1/x/filesystem";
const path = "/memory/me/secret.md";
const secret = "the secret is under the third stone";

/** What is asked, with Ann's identifiers or with those of nothing. */
interface Asked {
  readonly path: string;
  readonly version: string;
  readonly conflict: string;
  readonly session: string;
  readonly cursor: string;
}

const routes = (asked: Asked): readonly (readonly [method: string, route: string, url: string, body?: object])[] => {
  const at = `path=${encodeURIComponent(asked.path)}`;
  return [
    ["get", "/entry", `/entry?${at}`],
    ["get", "/entries", `/entries?${at}`],
    ["get", "/entries", "/entries?path=/memory"],
    ["get", "/content", `/content?${at}&version=1`],
    ["get", "/find", "/find?path=/&glob=**"],
    ["get", "/search", "/search?path=/&pattern=stone"],
    ["get", "/search", `/search?${at}&pattern=stone`],
    ["get", "/export", `/export?${at}`],
    ["post", "/commit", "/commit", { changes: [{ type: "put", path: asked.path, content: "x", expected_version: 2 }] }],
    ["post", "/commit", "/commit", { changes: [{ type: "move", path: asked.path, to: "/memory/org/a.md" }] }],
    ["get", "/versions", `/versions?${at}`],
    ["get", "/versions", `/versions?session_id=${asked.session}`],
    ["get", "/versions", `/versions?page=${asked.cursor}`],
    ["post", "/versions/{version_id}/redact", `/versions/${asked.version}/redact`],
    ["get", "/diff", `/diff?${at}&from=1&to=2`],
    ["get", "/conflicts", "/conflicts"],
    ["get", "/conflicts/{conflict_id}/content", `/conflicts/${asked.conflict}/content`],
    ["post", "/conflicts/{conflict_id}/resolve", `/conflicts/${asked.conflict}/resolve`, { keep: "kept" }],
    ["post", "/restore", "/restore", { path: asked.path, version: 1 }],
    ["post", "/undo", "/undo", { session_id: asked.session }],
    ["post", "/vouch", "/vouch", { path: asked.path, version: 2 }],
  ];
};

async function company() {
  const { admin, ann, bob, organizationId, connect, create } = await newCompany(server);
  const session = await create(ann.apiKey);
  const files = createStoredFiles(server.test.database);
  const mount = personalMemoryMount(ann.userId);
  const actor = { organizationId, sessionId: session.id, toolUseId: "evt_1", via: "tool" as const, userId: ann.userId };
  const store = files.open({ organizationId, sessionId: session.id }, mount);
  await store.write(path, encodeText("first"), actor, null);
  await store.write(path, encodeText(secret), { ...actor, untrusted: true, toolUseId: "evt_2" }, "1");
  // A number that is in no other text.
  await sql`select setval(pg_get_serial_sequence('file_conflicts', 'id'), 987654321)`.execute(server.test.database);
  const lost = [{ path, bytes: encodeText(`${secret} (lost)`), baseVersion: 1, headVersion: 2 }];
  await files.commit({ mount, actor, paths: [] }, () => ({ changes: [], lost, result: null }));
  const { versions } = await files.history.list(organizationId, mount, {}, { limit: 9 });
  const { conflicts } = await files.history.conflicts(organizationId, mount, {}, { limit: 9 });
  const environment = await connect(admin).environments.create({ name: "w", config: { type: "self_hosted" } });
  const key = await createEnvironmentKeys(server.test.database).create(organizationId, environment.id, "worker");
  const work = {
    id: createId("workItem"),
    organization_id: organizationId,
    environment_id: environment.id,
    session_id: session.id,
    state: "active" as const,
    attempt: 1,
  };
  await server.test.database.insertInto("work_items").values(work).execute();
  const token = await createWorkToken(server.test.database, { organizationId, workId: work.id, attempt: 1 });
  const stranger = await server.newOrganization();
  const scope = { list: "filesystem/versions", organizationId };
  const asked: Asked = {
    path,
    version: versions[1]?.id ?? "",
    conflict: conflicts[0]?.id ?? "",
    session: session.id,
    cursor: encodeCursor(scope, { mount: mount.key, cursor: null }),
  };
  const others = { bob: bob.apiKey, admin, stranger: stranger.apiKey, worker: key.key, token };
  return { ann: ann.apiKey, others, asked, mount, files, organizationId };
}

async function ask(apiKey: string, [method, , url, body]: ReturnType<typeof routes>[number]): Promise<string> {
  const response = await fetch(`${server.listener.url}${root}${url}`, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return `${response.status} ${await response.text()}`;
}

it("is what does not exist for everybody else, on every route", async () => {
  const { ann, others, asked, mount, files, organizationId } = await company();
  const revision = await files.revision(organizationId, mount);
  const nothing: Asked = {
    path: "/memory/me/nothing.md",
    version: createId("memoryVersion"),
    conflict: "999999999",
    session: createId("session"),
    cursor: asked.cursor,
  };
  const plain = (text: string, of: Asked) =>
    [of.version, of.conflict, of.session, of.path]
      .reduce((shown, id) => shown.replaceAll(id, "ID"), text)
      .replaceAll(/"request_id":"[^"]*"/g, "");
  for (const [who, key] of Object.entries(others)) {
    for (const [index, route] of routes(asked).entries()) {
      const [answer, absent] = [await ask(key, route), await ask(key, routes(nothing)[index] ?? route)];
      const name = `${who} ${route[0]} ${route[2]}`;
      expect(answer, name).not.toContain("third stone");
      expect(plain(answer, asked), name).toBe(plain(absent, nothing));
    }
  }
  expect(await files.revision(organizationId, mount)).toBe(revision);
  const found = await ask(ann, ["get", "/content", `/content?path=${path}`]);
  expect(found).toContain(secret);
});

it("asks every route of stored files that there is", async () => {
  const description = (await (await fetch(`${server.listener.url}/openapi.json`)).json()) as { paths: object };
  const known = Object.entries(description.paths).flatMap(([route, methods]: [string, object]) =>
    route.startsWith(`${root}/`) ? Object.keys(methods).map((method) => `${method} ${route.slice(root.length)}`) : [],
  );
  const none: Asked = { path, version: "", conflict: "", session: "", cursor: "" };
  expect([...new Set(routes(none).map(([method, route]) => `${method} ${route}`))].sort()).toEqual(known.sort());
});
