/** `exoloop files` against a real API. */
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestServer, type TestServer } from "@exoloop/server/http/testing";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { connectTo } from "../connection.ts";
import type { CommandContext } from "../context.ts";
import {
  editFile,
  findStored,
  listFiles,
  moveFile,
  printFile,
  removeFile,
  searchStored,
  writeFileTo,
} from "./files.ts";
import { createProgram } from "../program.ts";
import { addCompletion } from "./completion.ts";
import { listConflicts, restoreFiles, showDifference, showHistory, undoSession } from "./file-history.ts";
import { pullTree, pushTree } from "./file-trees.ts";

let server: TestServer;
let folder: string;
let apiKey: string;
beforeAll(async () => {
  server = await startTestServer();
  folder = await mkdtemp(join(tmpdir(), "exoloop-files-"));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  ({ apiKey } = await server.newOrganization());
});

async function run(work: (context: CommandContext) => Promise<number>, environment = {}) {
  let [output, progress] = ["", ""];
  const context = {
    home: "/nowhere",
    keyboard: null,
    environment,
    output: { write: (data: string | Uint8Array) => ((output += Buffer.from(data).toString()), true) },
    progress: { write: (text: string) => ((progress += text), true) },
    connect: () => Promise.resolve(connectTo({ url: server.listener.url, apiKey })),
    onInterrupt: () => () => undefined,
  } as unknown as CommandContext;
  const code = await work(context);
  return { code, output, progress };
}

/** As it is typed. */
function typed(...words: string[]) {
  return run(async (context) => {
    let code = -1;
    await createProgram(context, "9.9.9", (ended) => void (code = ended)).parseAsync(words, { from: "user" });
    return code;
  });
}

async function local(name: string, content: string): Promise<string> {
  const place = join(folder, name);
  await writeFile(place, content);
  return place;
}

test("a file is written, listed, found, printed, renamed and deleted", async () => {
  const from = await local("plan.md", "first line\nsecond line\n");
  const written = await run((context) => writeFileTo(context, "/memory/org/plan.md", { from, expect: 0 }));
  expect(written.progress).toBe("/memory/org/plan.md (v1): revision 1 of /memory/org\n");
  const other = await local("other.md", "something else");
  await expect(
    run((context) => writeFileTo(context, "/memory/org/plan.md", { from: other, expect: 0 })),
  ).rejects.toMatchObject({ status: 409 });
  expect((await run((context) => listFiles(context, "/memory/org", {}))).output).toMatch(
    /^v1 +23 +\d{4}-.*\/memory\/org\/plan\.md$/m,
  );
  expect((await run((context) => findStored(context, "/", "**/*.md", { limit: 9 }))).output).toBe(
    "/memory/org/plan.md\n",
  );
  expect(await run((context) => searchStored(context, "second", "/", { limit: 9 }))).toMatchObject({
    code: 0,
    output: "/memory/org/plan.md:2:second line\n",
  });
  expect(await run((context) => searchStored(context, "third", "/", { limit: 9 }))).toMatchObject({
    code: 1,
    output: "",
  });
  await run((context) => moveFile(context, "/memory/org/plan.md", "/memory/org/old/plan.md", {}));
  expect((await run((context) => printFile(context, "/memory/org/old/plan.md", {}))).output).toBe(
    "first line\nsecond line\n",
  );
  await run((context) => removeFile(context, "/memory/org/old/plan.md", {}));
  await expect(run((context) => printFile(context, "/memory/org/old/plan.md", {}))).rejects.toMatchObject({
    status: 404,
  });
  expect((await run((context) => printFile(context, "/memory/org/plan.md", { version: 1 }))).output).toContain(
    "first line",
  );
});

test("--version behind a command is the version of a file, and not the program's", async () => {
  for (const content of ["one\n", "two\n"]) {
    const from = await local("a", content);
    await run((context) => writeFileTo(context, "/memory/org/a.md", { from }));
  }
  expect(await typed("files", "cat", "/memory/org/a.md", "--version", "1")).toMatchObject({ code: 0, output: "one\n" });
  await typed("files", "restore", "/memory/org/a.md", "--version", "1");
  expect((await typed("files", "cat", "/memory/org/a.md")).output).toBe("one\n");
});

test("what is there is not overwritten, and a folder is not made for nothing", async () => {
  const from = await local("a", "1\n2\n3\n");
  await run((context) => writeFileTo(context, "/memory/org/a.md", { from }));
  await expect(typed("files", "export", "/memory/org", "--output", from)).rejects.toThrow(
    `${from} exists already: name another file.`,
  );
  const absent = join(folder, "absent");
  await expect(typed("files", "pull", "/memory/org/none", absent)).rejects.toMatchObject({ status: 404 });
  await expect(stat(absent)).rejects.toThrow(/ENOENT/);
  await expect(typed("files", "push", folder, "memory/org")).rejects.toThrow(/does not begin with a slash/);
});

test("what was done, and what was not found, is said", async () => {
  const from = await local("a", "1\n2\n3\n");
  await run((context) => writeFileTo(context, "/memory/org/a.md", { from }));
  expect((await typed("files", "mv", "/memory/org/a.md", "/memory/org/b/c.md")).progress).toBe(
    "/memory/org/a.md → /memory/org/b/c.md (v1): revision 2 of /memory/org\n",
  );
  expect(await typed("files", "find", "/memory/org", "*.md")).toMatchObject({
    code: 1,
    progress: "No path below /memory/org matches *.md: **/*.md looks into directories too.\n",
  });
  expect((await typed("files", "grep", ".", "--limit", "2")).progress).toBe("There may be more: raise --limit.\n");
  expect((await typed("files", "vouch", "/memory/org/b/c.md", "--version", "1")).progress).toBe(
    "/memory/org/b/c.md was trusted already.\n",
  );
  expect((await typed("files", "grep", ".", "--limit", "1000")).output.match(/c\.md/g)).toHaveLength(3);
});

test("what is edited replaces the version that was opened, and nothing else", async () => {
  await run(async (context) => writeFileTo(context, "/memory/org/a.md", { from: await local("a", "one\n") }));
  const editor = await local("editor.sh", '#!/bin/sh\necho two >> "$1"\n');
  await chmod(editor, 0o755);
  const edited = await run((context) => editFile(context, "/memory/org/a.md", {}), { EDITOR: editor });
  expect(edited.progress).toContain("(v2)");
  expect((await run((context) => printFile(context, "/memory/org/a.md", {}))).output).toBe("one\ntwo\n");
  expect((await run((context) => editFile(context, "/memory/org/a.md", {}), { EDITOR: "true" })).progress).toBe(
    "Nothing was changed.\n",
  );
  await expect(run((context) => editFile(context, "/memory/org/a.md", {}), { EDITOR: "false" })).rejects.toThrow(
    /nothing was changed/,
  );
  await expect(run((context) => editFile(context, "/memory/org/a.md", {}))).rejects.toThrow(/VISUAL nor EDITOR/);
});

test("an edit that lost a race is refused, and its text is kept", async () => {
  await run(async (context) => writeFileTo(context, "/memory/org/a.md", { from: await local("a", "one\n") }));
  const theirs = await local("theirs", "theirs\n");
  const request = JSON.stringify({ changes: [{ type: "put", path: "/memory/org/a.md", content: "theirs\n" }] });
  const editor = await local(
    "race.mjs",
    `import { appendFileSync } from "node:fs";
     const headers = { authorization: "Bearer ${apiKey}", "content-type": "application/json" };
     await fetch("${server.listener.url}/v1/x/filesystem/commit", { method: "POST", headers, body: ${JSON.stringify(request)} });
     appendFileSync(process.argv[2], "mine\\n");`,
  );
  let progress = "";
  const failed = run(
    async (context) => {
      const heard = { ...context, progress: { write: (text: string) => ((progress += text), true) } } as CommandContext;
      return editFile(heard, "/memory/org/a.md", {});
    },
    { EDITOR: `${process.execPath} ${editor}` },
  );
  await expect(failed).rejects.toMatchObject({ status: 409 });
  const kept = /kept in (\S+)\./.exec(progress)?.[1] ?? "";
  expect(await readFile(kept, "utf8")).toBe("one\nmine\n");
  expect((await run((context) => printFile(context, "/memory/org/a.md", {}))).output).toBe(
    await readFile(theirs, "utf8"),
  );
});

test("a path that is being typed is completed from what is stored", async () => {
  await run(async (context) => writeFileTo(context, "/memory/org/docs/plan.md", { from: await local("a", "one\n") }));
  const offered = async (typed: string, command = ["cat"]) => {
    const program = createProgram({} as CommandContext, "1", () => undefined);
    let text = "";
    const written = vi.spyOn(console, "log").mockImplementation((line: string) => void (text += `${line}\n`));
    await run(async (context) => {
      const words = ["complete", "--", "files", ...command, typed];
      await addCompletion(program, context, words);
      await program.parseAsync(words, { from: "user" });
      return 0;
    });
    written.mockRestore();
    return text;
  };
  expect(await offered("/mem")).toContain("/memory/");
  expect(await offered("/memory/org/d")).toContain("/memory/org/docs/");
  for (const command of [["mv"], ["mv", "/memory/org/docs"], ["grep", "one"], ["push", "."]])
    expect(await offered("/memory/org/d", command)).toContain("/memory/org/docs/");
  expect(await offered("/memory/org/docs/")).toContain("/memory/org/docs/plan.md\t4 bytes");
});

test("a folder is pushed and pulled, and nobody's change is overwritten", async () => {
  const [ann, bob] = [await mkdtemp(join(folder, "ann-")), await mkdtemp(join(folder, "bob-"))];
  await writeFile(join(ann, "a.md"), "one\n");
  await writeFile(join(ann, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  const push = (from: string, options = {}) => run((context) => pushTree(context, from, "/memory/org/team", options));
  const pull = (to: string, options = {}) => run((context) => pullTree(context, "/memory/org/team", to, options));
  await symlink("a.md", join(ann, "link.md"));
  const dry = (await push(ann, { dryRun: true })).progress;
  expect(dry).toContain("left   link.md: a link or a special file\n");
  expect(dry).toContain("2 put, 0 deleted: a dry run");
  await expect(pull(bob)).rejects.toMatchObject({ status: 404 });
  await push(ann);
  await pull(bob);
  expect(await readFile(join(bob, "a.md"), "utf8")).toBe("one\n");
  expect((await stat(join(bob, "run.sh"))).mode & 0o111).not.toBe(0);
  expect((await push(bob)).progress).toContain("0 put");

  await writeFile(join(bob, "a.md"), "two\n");
  await push(bob);
  await writeFile(join(ann, "a.md"), "other\n");
  await expect(push(ann)).rejects.toThrow(/a\.md\. Nothing was done/);
  await expect(pull(ann)).rejects.toThrow(/a\.md\. Nothing was done/);
  expect(await readFile(join(ann, "a.md"), "utf8")).toBe("other\n");
  await pull(ann, { force: true });
  expect(await readFile(join(ann, "a.md"), "utf8")).toBe("two\n");

  await rm(join(ann, "a.md"));
  await push(ann);
  expect((await pull(bob)).progress).toContain("0 written, 0 deleted");
  await push(ann, { delete: true });
  await pull(bob);
  await expect(stat(join(bob, "a.md"))).rejects.toThrow(/ENOENT/);
});

test("what a model has stored for git to run is not pulled", async () => {
  const to = await mkdtemp(join(folder, "repository-"));
  for (const path of [".git/hooks/post-commit", "sub/.git/config", "a.md"]) {
    const from = await local("hook", "#!/bin/sh\n");
    await run((context) => writeFileTo(context, `/memory/org/hooked/${path}`, { from, executable: true }));
  }
  expect((await run((context) => pullTree(context, "/memory/org/hooked", to, {}))).progress).toContain("1 written");
  expect((await readdir(to)).sort()).toEqual([".exoloop-files.json", "a.md"]);
});

test("history, differences, restoring and undoing are shown as they are", async () => {
  const write = async (content: string) =>
    run(async (context) => writeFileTo(context, "/memory/org/a.md", { from: await local("a", content) }));
  await write("one\n");
  await write("two\n");
  const history = await run((context) => showHistory(context, "/memory/org/a.md", { limit: 9 }));
  expect(history.output).toMatch(/^v2 .* write +api .*memver_\S+ +\/memory\/org\/a\.md$/m);
  expect(await run((context) => showDifference(context, "/memory/org/a.md", {}))).toMatchObject({
    code: 1,
    output: expect.stringContaining("-one\n+two"),
  });
  const dry = await run((context) => restoreFiles(context, "/memory/org/a.md", { version: 1, dryRun: true }));
  expect([dry.output, dry.progress]).toEqual([
    expect.stringMatching(/^written +\/memory\/org\/a\.md$/m),
    "Nothing was changed: this was a dry run.\n",
  ]);
  await run((context) => restoreFiles(context, "/memory/org/a.md", { version: 1 }));
  expect((await run((context) => printFile(context, "/memory/org/a.md", {}))).output).toBe("one\n");
  await expect(run((context) => restoreFiles(context, "/memory/org/a.md", {}))).rejects.toThrow(/Say which state/);
  await expect(run((context) => undoSession(context, "sesn_none", {}))).rejects.toMatchObject({ status: 404 });
  expect((await run((context) => listConflicts(context, { limit: 9 }))).progress).toBe("No text has lost a race.\n");
});
