/** The Skills API as the official SDK uses it, against a real server. */
import Anthropic, { toFile } from "@anthropic-ai/sdk";
import { createClient } from "@exoloop/client/client";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createSkillService } from "../files/postgres/skills/skill-service.ts";
import { createTestSession } from "../files/postgres/testing.ts";
import { createStoredFiles } from "../files/postgres/stored-files.ts";
import { skillsMount } from "../files/mounts.ts";
import { unzipSkill, zipSkill } from "../skills/intake/zip.ts";
import { startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
let client: Anthropic;
let organizationId: string;
beforeAll(async () => {
  server = await startTestServer();
});
beforeEach(async () => {
  const { apiKey, principal } = await server.newOrganization();
  organizationId = principal.organizationId;
  client = new Anthropic({ apiKey, baseURL: server.listener.url, maxRetries: 0 });
});
afterAll(() => server.stop());

const manifest = (name: string, description = "Reviews code.") =>
  `---\nname: ${name}\ndescription: ${description}\n---\nRead the diff.\n`;
const upload = (files: Readonly<Record<string, string | Uint8Array>>) =>
  Promise.all(Object.entries(files).map(([path, content]) => toFile(Buffer.from(content), path)));
const review = (description?: string) =>
  upload({
    "review/SKILL.md": manifest("review", description),
    "review/scripts/run.sh": "#!/bin/sh\ntrue\n",
    "review/logo.bin": new Uint8Array([0, 1, 255]),
  });
/** Status, type and message of the error. */
const told = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => {
      if (!(error instanceof Anthropic.APIError)) return `no API error: ${String(error)}`;
      const body = error.error as { readonly error: { readonly type: string; readonly message: string } };
      return `${String(error.status)} ${body.error.type}: ${body.error.message}`;
    },
  );
const mounted = async () => {
  const heads = await createStoredFiles(server.test.database).manifest(organizationId, skillsMount);
  return heads.map(({ path, executable }) => [path, executable]);
};

describe("a skill", () => {
  it("is created from files, retrieved, listed and found below /skills", async () => {
    const created = await client.beta.skills.create({ files: await review(), display_name: "Code review" });
    expect(created).toMatchObject({ type: "skill", display_name: "Code review", source: { type: "custom" } });
    expect(await client.beta.skills.retrieve(created.id)).toEqual(created);
    const other = await client.beta.skills.create({ files: await upload({ "SKILL.md": manifest("audit") }) });
    expect(other.display_name).toBe("audit");
    const listed = [];
    for await (const skill of client.beta.skills.list({ limit: 1 })) listed.push(skill.id);
    expect(listed).toEqual([other.id, created.id]);
    expect((await client.beta.skills.list({ source: "anthropic" })).data).toEqual([]);
    expect(await mounted()).toEqual([
      ["/skills/audit/SKILL.md", false],
      ["/skills/review/SKILL.md", false],
      ["/skills/review/logo.bin", false],
      ["/skills/review/scripts/run.sh", true],
    ]);
  });

  it("has versions that never change, and the latest of them below /skills", async () => {
    const { id, latest_version_id: first } = await client.beta.skills.create({ files: await review("One.") });
    const second = await client.beta.skills.versions.create(id, {
      files: await upload({ "review/SKILL.md": manifest("review", "Two.") }),
    });
    expect(second).toMatchObject({ type: "skill_version", name: "review", skill_id: id, description: "Two." });
    expect((await client.beta.skills.retrieve(id)).latest_version_id).toBe(second.id);
    const listed = [];
    for await (const version of client.beta.skills.versions.list(id, { limit: 1 })) listed.push(version.description);
    expect(listed).toEqual(["Two.", "One."]);
    expect(await mounted()).toEqual([["/skills/review/SKILL.md", false]]);
    expect(await client.beta.skills.versions.retrieve("latest", { skill_id: id })).toEqual(second);
    const response = await client.beta.skills.versions.download(first, { skill_id: id });
    expect(response.headers.get("content-type")).toBe("application/zip");
    const source = await unzipSkill(new Uint8Array(await response.arrayBuffer()));
    expect(source.directory).toBe("review");
    expect(source.files.map(({ path, executable }) => [path, executable])).toEqual([
      ["SKILL.md", false],
      ["logo.bin", false],
      ["scripts/run.sh", true],
    ]);
    const again = await client.beta.skills.versions.create(id, {
      files: await upload({ "review/SKILL.md": manifest("review", "Two.") }),
    });
    expect(again.id).toBe(second.id);
  });

  it("is taken back version by version, and deleted when none is left", async () => {
    const { id, latest_version_id: first } = await client.beta.skills.create({ files: await review("One.") });
    const second = await client.beta.skills.versions.create(id, {
      files: await upload({ "review/SKILL.md": manifest("review", "Two.") }),
    });
    expect(await told(client.beta.skills.delete(id))).toMatch(/^400 .*The skill has 2 versions/);
    expect(await told(client.beta.skills.versions.delete("latest", { skill_id: id }))).toMatch(/^404 /);
    expect(await client.beta.skills.versions.delete(second.id, { skill_id: id })).toEqual({
      id: second.id,
      type: "skill_version_deleted",
    });
    expect((await client.beta.skills.retrieve(id)).latest_version_id).toBe(first);
    expect((await mounted()).map(([path]) => path)).toHaveLength(3);
    await client.beta.skills.versions.delete(first, { skill_id: id });
    expect(await mounted()).toEqual([]);
    expect(await told(client.beta.skills.retrieve(id))).toMatch(/^404 /);
    expect((await client.beta.skills.list()).data).toEqual([]);
    expect(await client.beta.skills.delete(id)).toEqual({ id, type: "skill_deleted" });
    expect(await told(client.beta.skills.delete(id))).toMatch(/^404 /);
  });

  it("is created from one zip", async () => {
    const bytes = await zipSkill("review", [{ path: "SKILL.md", bytes: Buffer.from(manifest("review")) }]);
    const created = await client.beta.skills.create({ files: [await toFile(Buffer.from(bytes), "whatever.zip")] });
    expect(created.display_name).toBe("review");
  });

  it("that is older and not the latest is deleted alone", async () => {
    const { id, latest_version_id: first } = await client.beta.skills.create({ files: await review("One.") });
    await client.beta.skills.versions.create(id, { files: await upload({ "SKILL.md": manifest("review", "Two.") }) });
    await client.beta.skills.versions.delete(first, { skill_id: id });
    expect(await mounted()).toEqual([["/skills/review/SKILL.md", false]]);
  });
});

describe("what is refused", () => {
  it.each([
    [
      "a broken head",
      { "review/SKILL.md": "---\nname: review\n" },
      "SKILL.md, line 1: the frontmatter that begins here has no end",
    ],
    [
      "a wrong rule",
      { "review/SKILL.md": manifest("Review") },
      'SKILL.md, line 2: name "Review" holds other characters',
    ],
    [
      "another directory",
      { "audit/SKILL.md": manifest("review") },
      'SKILL.md, line 2: name is "review", but the directory is "audit"',
    ],
    ["two directories", { "a/SKILL.md": manifest("a"), "b/SKILL.md": manifest("b") }, "its files lie in 2 directories"],
    ["a way out", { "SKILL.md": manifest("review"), "../x": "x" }, '"../x": holds an empty, `.` or `..` segment.'],
    [
      "an absolute path",
      { "SKILL.md": manifest("review"), "/etc/x": "x" },
      '"/etc/x": is not a path relative to the skill.',
    ],
    [
      "twins",
      { "SKILL.md": manifest("review"), "A.md": "x", "a.md": "x" },
      '"a.md": differs only in case from "A.md".',
    ],
    ["a zip that is none", { "review.zip": "x" }, "The zip cannot be read"],
  ])("is %s", async (_title, files, message) => {
    const answer = await told(client.beta.skills.create({ files: await upload(files) }));
    expect(answer).toMatch(/^400 invalid_request_error: /);
    expect(answer).toContain(message);
    expect(await mounted()).toEqual([]);
    expect((await client.beta.skills.list()).data).toEqual([]);
  });

  it("is a push of twenty files with one that breaks a rule: none of them is stored", async () => {
    const files = createClient({ baseUrl: server.listener.url, apiKey: String(client.apiKey) }).filesystem;
    const put = (name: string, content: string) => ({
      type: "put" as const,
      path: `/skills/${name}/SKILL.md`,
      content,
    });
    const good = Array.from({ length: 19 }, (_, at) => put(`skill-${at}`, manifest(`skill-${at}`)));
    const bad = put("last", "---\nname: last\ndescription:\n---\n");
    await expect(files.commit({ changes: [...good, bad] })).rejects.toMatchObject({
      status: 400,
      code: "invalid_skill",
      message: expect.stringContaining("/skills/last/SKILL.md, line 3: description is missing") as string,
    });
    expect(await mounted()).toEqual([]);
    await files.commit({ changes: good });
    expect((await client.beta.skills.list({ limit: 50 })).data).toHaveLength(19);
  });

  it("is a name that is taken, and another name for a version", async () => {
    const { id } = await client.beta.skills.create({ files: await review() });
    expect(await told(client.beta.skills.create({ files: await review() }))).toMatch(new RegExp(`^409 .*${id}`));
    const audit = await upload({ "audit/SKILL.md": manifest("audit") });
    expect(await told(client.beta.skills.versions.create(id, { files: audit }))).toMatch(/^400 .*the skill is called/);
    const bare = await upload({ "SKILL.md": manifest("audit") });
    expect(await told(client.beta.skills.versions.create(id, { files: bare }))).toMatch(/^400 .*name is/);
  });

  it("is another organization's skill, and a key without the scope", async () => {
    const { id, latest_version_id: version } = await client.beta.skills.create({ files: await review() });
    const { apiKey } = await server.newOrganization();
    const stranger = new Anthropic({ apiKey, baseURL: server.listener.url, maxRetries: 0 });
    expect(await told(stranger.beta.skills.retrieve(id))).toMatch(/^404 /);
    expect(await told(stranger.beta.skills.versions.download(version, { skill_id: id }))).toMatch(/^404 /);
    expect(await told(stranger.beta.skills.versions.delete(version, { skill_id: id }))).toMatch(/^404 /);
    expect(await told(stranger.beta.skills.delete(id))).toMatch(/^404 /);
    const weak = (await server.newOrganization(["sessions"])).apiKey;
    const reader = new Anthropic({ apiKey: weak, baseURL: server.listener.url, maxRetries: 0 });
    expect(await told(reader.beta.skills.create({ files: await review() }))).toMatch(/^403 /);
    expect((await reader.beta.skills.list()).data).toEqual([]);
  });

  it("is an upload that is none, that has strange fields, or is too large", async () => {
    const send = async (body: BodyInit, headers: Record<string, string> = {}) => {
      const authorization = `Bearer ${String(client.apiKey)}`;
      const url = new URL("/v1/skills", server.listener.url);
      const response = await fetch(url, { method: "POST", body, headers: { authorization, ...headers } });
      return `${response.status} ${await response.text()}`;
    };
    expect(await send("{}", { "content-type": "application/json" })).toMatch(/^400 .*not an upload/);
    expect(await send("x", { "content-type": "multipart/form-data; boundary=a" })).toMatch(/^400 .*cannot be read/);
    const form = new FormData();
    form.append("files[]", new Blob([manifest("review")]), "SKILL.md");
    form.append("path", "x");
    expect(await send(form)).toMatch(/^400 .*path: not a field/);
    const large = new FormData();
    large.append("files[]", new Blob([new Uint8Array(36_000_000)]), "SKILL.md");
    expect(await send(large)).toMatch(/^413 /);
  });
});

describe("the worker of a session", () => {
  it("reads the skills that the session's agent names, and no others", async () => {
    const { id } = await client.beta.skills.create({ files: await review() });
    const other = await client.beta.skills.create({ files: await upload({ "SKILL.md": manifest("audit") }) });
    const sessionId = await createTestSession(server.test.database, organizationId);
    const grant = { sessionId, environmentId: "env_1", workId: "work_1", current: true };
    const worker = { organizationId, apiKeyId: "work_1", scopes: [], session: grant };
    const skills = createSkillService(server.test.database);
    await expect(skills.getVersion(worker, id, "latest")).rejects.toMatchObject({ code: "not_found" });
    await server.test.database
      .updateTable("sessions")
      .set({ agent: JSON.stringify({ skills: [{ type: "custom", skill_id: id, version: "latest" }] }) })
      .where("id", "=", sessionId)
      .execute();
    expect((await skills.download(worker, id, "latest")).name).toBe("review");
    await expect(skills.download(worker, other.id, "latest")).rejects.toMatchObject({ code: "not_found" });
    await expect(skills.getVersion(worker, other.id, "latest")).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("an agent that names skills", () => {
  const agent = (...skills: Anthropic.Beta.Agents.BetaManagedAgentsSkillParams[]) =>
    client.beta.agents.create({ name: "a", model: "scripted", skills });

  it("names those that exist, at a version or at the latest", async () => {
    const { id, latest_version_id: version } = await client.beta.skills.create({ files: await review() });
    const created = await agent({ type: "custom", skill_id: id, version });
    expect(created.skills).toEqual([{ type: "custom", skill_id: id, version }]);
    const updated = await client.beta.agents.update(created.id, {
      version: created.version,
      skills: [{ type: "custom", skill_id: id }],
    });
    expect(updated.skills).toEqual([{ type: "custom", skill_id: id, version: "latest" }]);
  });

  it("is refused with others", async () => {
    const { id, latest_version_id: version } = await client.beta.skills.create({ files: await review() });
    const second = await client.beta.skills.create({ files: await upload({ "SKILL.md": manifest("audit") }) });
    expect(await told(agent({ type: "custom", skill_id: "skill_1" }))).toMatch(
      /^404 .*skills\[0\]: no skill has the id/,
    );
    expect(await told(agent({ type: "custom", skill_id: second.id, version }))).toMatch(/^404 .*has no version/);
    expect(await told(agent({ type: "anthropic", skill_id: "xlsx" }))).toMatch(/^400 .*no skills of Anthropic's/);
    const twice = { type: "custom" as const, skill_id: id };
    expect(await told(agent(twice, { ...twice, version }))).toMatch(/^400 .*skills\[1\]: .* is named twice/);
    const created = await agent();
    const change = { version: created.version, skills: [{ type: "custom" as const, skill_id: "skill_1" }] };
    expect(await told(client.beta.agents.update(created.id, change))).toMatch(/^404 /);
    const environment = await client.beta.environments.create({ name: "e", config: { type: "cloud" } });
    const session = client.beta.sessions.create({
      environment_id: environment.id,
      agent: { type: "agent_with_overrides", id: created.id, skills: change.skills },
    });
    expect(await told(session)).toMatch(/^404 .*skills\[0\]/);
  });
});
