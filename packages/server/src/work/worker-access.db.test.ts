/** What a worker's key and the token of its work open, and what not. */
import { toFile } from "@anthropic-ai/sdk";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../http/testing.ts";
import { codeOf, openWorkTest, type WorkTest } from "./testing.ts";

let server: TestServer;
let connect: WorkTest["connect"];
let sdk: WorkTest["sdk"];
let environmentId: WorkTest["environmentId"];
let newKey: WorkTest["newKey"];
let worker: WorkTest["worker"];
let enqueue: WorkTest["enqueue"];
let newWork: WorkTest["newWork"];
let poll: WorkTest["poll"];
let take: WorkTest["take"];

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  ({ connect, sdk, environmentId, newKey, worker, enqueue, newWork, poll, take } = await openWorkTest(server));
  server.woken.length = 0;
});

test("a worker's key opens its queue and nothing else, and a token its session and nothing else", async () => {
  const [sessionId, otherSession] = [await newWork(), await newWork()];
  const { item, token, address } = await take();
  const other = await sdk.beta.environments.create({ name: "o", config: { type: "self_hosted" } });
  const forbidden = await Promise.all(
    [
      worker.beta.environments.work.poll(other.id),
      worker.beta.environments.work.list(environmentId),
      worker.beta.environments.retrieve(environmentId),
      worker.beta.sessions.retrieve(sessionId),
      worker.beta.sessions.events.list(sessionId),
      worker.beta.agents.list(),
      worker.post(`/v1/x/environments/${environmentId}/keys`, { body: { name: "more" } }),
      token.beta.environments.work.poll(environmentId),
      token.beta.environments.work.ack(item.id, address),
      token.beta.sessions.retrieve(otherSession),
      token.beta.sessions.list(),
      token.beta.sessions.update(sessionId, { title: "mine" }),
      token.beta.sessions.archive(sessionId),
      token.beta.agents.list(),
      token.beta.sessions.events.send(sessionId, {
        events: [{ type: "user.message", content: [{ type: "text", text: "Do more." }] }],
      }),
      token.beta.sessions.events.send(sessionId, {
        events: [{ type: "user.tool_confirmation", tool_use_id: "sevt_1", result: "allow" }],
      }),
    ].map((request) => codeOf(Promise.resolve(request))),
  );
  expect(new Set(forbidden)).toEqual(new Set(["forbidden"]));
  expect((await token.beta.sessions.retrieve(sessionId)).id).toBe(sessionId);
  expect((await token.beta.sessions.events.list(sessionId, { limit: 1000 })).data).toEqual([]);
  const stranger = connect((await server.newOrganization()).apiKey);
  expect(await codeOf(stranger.beta.environments.work.poll(environmentId))).toBe("not_found");
  expect(await codeOf(stranger.beta.environments.work.retrieve(item.id, address))).toBe("not_found");
});

test("a token opens the skills that its session's agent names, and no others", async () => {
  const upload = async (name: string) => {
    const text = `---\nname: ${name}\ndescription: Does ${name}.\n---\nDo it.\n`;
    return sdk.beta.skills.create({ files: [await toFile(Buffer.from(text), `${name}/SKILL.md`)] });
  };
  const [own, other] = [await upload("own"), await upload("other")];
  const agent = await sdk.beta.agents.create({
    name: "a",
    model: "m",
    skills: [{ type: "custom", skill_id: own.id }],
  });
  const session = await sdk.beta.sessions.create({ agent: agent.id, environment_id: environmentId });
  await enqueue(session.id);
  const { token } = await take();
  const versions = token.beta.skills.versions;
  const version = await versions.retrieve("latest", { skill_id: own.id });
  expect(version.name).toBe("own");
  expect((await versions.download(version.id, { skill_id: own.id })).status).toBe(200);
  expect(await codeOf(versions.retrieve("latest", { skill_id: other.id }))).toBe("not_found");
  expect(await codeOf(versions.download(other.latest_version_id, { skill_id: other.id }))).toBe("not_found");
  expect(await codeOf(token.beta.skills.list())).toBe("forbidden");
});

test("keys of an environment are listed without their text, and revoked", async () => {
  const { id, key } = await newKey(environmentId);
  const path = `/v1/x/environments/${environmentId}/keys`;
  const listed: { data: { id: string }[] } = await sdk.get(path);
  expect(listed.data.map((entry) => entry.id)).toContain(id);
  expect(JSON.stringify(listed)).not.toContain(key);
  await sdk.delete(`${path}/${id}`);
  expect(await codeOf(poll(connect(key)))).toBe("unauthenticated");
  expect(await codeOf(sdk.delete(`${path}/${id}`))).toBe("not_found");
  const cloud = await sdk.beta.environments.create({ name: "cloud" });
  expect(await codeOf(newKey(cloud.id))).toBe("invalid_request");
  expect(await codeOf(sdk.beta.environments.work.poll(cloud.id))).toBe("invalid_request");
});
