/** `exoloop skills` against a real API. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestServer, type TestServer } from "@exoloop/server/http/testing";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { connectTo } from "../connection.ts";
import type { CommandContext } from "../context.ts";
import { CommandError } from "../exit-codes.ts";
import { deleteSkill, exportSkill, importSkill, listSkills, listVersions, validateSkill } from "./skills.ts";

let server: TestServer;
let place: string;
let apiKey: string;
beforeAll(async () => {
  server = await startTestServer();
  place = await mkdtemp(join(tmpdir(), "exoloop-skills-"));
  await mkdir(join(place, "review/scripts"), { recursive: true });
  await writeFile(join(place, "review/scripts/run"), "binary or not");
  await chmod(join(place, "review/scripts/run"), 0o755);
});
afterAll(async () => {
  await server.stop();
  await rm(place, { recursive: true, force: true });
});
beforeEach(async () => {
  ({ apiKey } = await server.newOrganization());
  await write("Reviews code.");
});

const write = (description: string, more = "") =>
  writeFile(join(place, "review/SKILL.md"), `---\nname: review\ndescription: ${description}\n${more}---\nRead.\n`);

async function run(work: (context: CommandContext) => Promise<number>) {
  let [output, progress] = ["", ""];
  const context = {
    home: "/nowhere",
    keyboard: null,
    environment: {},
    output: { write: (text: string) => ((output += text), true) },
    progress: { write: (text: string) => ((progress += text), true) },
    connect: () => Promise.resolve(connectTo({ url: server.listener.url, apiKey })),
    onInterrupt: () => () => undefined,
  } as unknown as CommandContext;
  const code = await work(context).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    progress += error.message;
    return error.exitCode;
  });
  return { code, output, progress };
}

test("a folder is imported, changed, listed, exported with its modes, and deleted", async () => {
  const folder = join(place, "review");
  const created = await run((context) => importSkill(context, folder, {}));
  expect(created.progress).toMatch(/^review is new: skillver_/);
  expect((await run((context) => importSkill(context, folder, {}))).progress).toMatch(/^review is the same as before/);
  await write("Reviews it all.");
  expect((await run((context) => importSkill(context, folder, {}))).progress).toMatch(/^review has a new version/);
  const listed = await run((context) => listSkills(context, {}));
  expect(listed.output.split("\n")[1]).toMatch(/^review +skill_\w+ .* \/skills\/review$/);
  const versions = await run((context) => listVersions(context, "review", { json: true }));
  const { data } = JSON.parse(versions.output) as { data: { id: string; description: string }[] };
  expect(data.map(({ description }) => description)).toEqual(["Reviews it all.", "Reviews code."]);

  const zip = join(place, "out.zip");
  await rm(zip, { force: true });
  expect((await run((context) => exportSkill(context, "review", zip, {}))).code).toBe(0);
  expect((await run((context) => exportSkill(context, "review", zip, {}))).progress).toContain("exists already");
  // The executable bit has come back: the same files are the same version.
  const again = await run((context) => importSkill(context, zip, { json: true }));
  expect(JSON.parse(again.output)).toMatchObject({ unchanged: true, version: data[0]?.id });
  const deleted = await run((context) => deleteSkill(context, "review", { skillVersion: data[0]?.id ?? "" }));
  expect(deleted.code).toBe(0);
  expect((await run((context) => listVersions(context, "review", {}))).output).not.toContain(data[0]?.id);
  expect((await run((context) => deleteSkill(context, "review", {}))).code).toBe(0);
  expect((await run((context) => listSkills(context, {}))).progress).toContain("No skills.");
  expect((await run((context) => deleteSkill(context, "review", {}))).code).toBe(4);
});

test("a skill is judged without a server, with every line and rule", async () => {
  const folder = join(place, "review");
  const offline = (work: (context: CommandContext) => Promise<number>) =>
    run((context) => work({ ...context, connect: () => Promise.reject(new Error("no server")) }));
  const good = await offline((context) => validateSkill(context, folder, {}));
  expect(good).toMatchObject({ code: 0, output: "", progress: "review is a skill: 2 files.\n" });
  await write("Do <b>it</b>", "version: 2\nlicense: []\n");
  const bad = await offline((context) => validateSkill(context, folder, {}));
  expect(bad.code).toBe(1);
  expect(bad.output.split("\n")).toEqual([
    'SKILL.md, line 3: description holds the XML tag "<b>": tags are not allowed in it.',
    "SKILL.md, line 5: license must be text, not a list or keys of its own.",
    "",
  ]);
  expect(bad.progress).toContain('note: SKILL.md, line 4: "version" is not a key of the format');
  const refused = await offline((context) => importSkill(context, folder, {}));
  expect(refused.code).toBe(1);
  expect(refused.progress).toContain("Nothing was stored.");
});

test("what is no source is said so", async () => {
  const told = async (from: string, options = {}) => {
    const { code, progress } = await run((context) => importSkill(context, from, options));
    return `${code} ${progress}`;
  };
  expect(await told(join(place, "none"))).toMatch(/^4 There is no/);
  expect(await told(join(place, "review"), { reference: "main" })).toMatch(/^2 .*are for git repositories/);
  expect(await told("http://example.com/x.git")).toMatch(/^1 The address of a repository begins with https/);
  await writeFile(join(place, "no.zip"), "x");
  expect(await told(join(place, "no.zip"))).toMatch(/^1 The zip cannot be read/);
});
