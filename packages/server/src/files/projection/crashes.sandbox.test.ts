/** A worker is killed, as a process, at each moment of a command; the next one finds everything once. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { startTestHost, type TestHost, workspaceOf } from "../testing.ts";
import type { CrashPoint, CrashRequest } from "./crash-worker.ts";
import { openProjectionTest, type ProjectionTest } from "./testing.ts";

let test: TestDatabase;
let host: TestHost;
let opened: ProjectionTest;

beforeAll(async () => {
  test = await createTestDatabase();
  host = await startTestHost();
}, 90_000);
afterAll(async () => {
  await host?.stop();
  await test?.drop();
}, 30_000);
beforeEach(async () => {
  opened = await openProjectionTest(test, host);
  await opened.save("/memory/org/log.md", "start\n");
  await opened.save("/memory/org/plan.md", "1\n");
  await opened.save("/memory/org/old.md", "x\n");
  for (let index = 0; index < 20; index += 1) await opened.save(`/memory/org/quiet/${index}.md`, "quiet\n");
});
afterEach(() => opened?.sandbox.destroy());

const command =
  "echo ours >> /memory/org/log.md; echo ours > /memory/org/plan.md; rm /memory/org/old.md; echo new > /memory/org/new.md; mkdir /memory/org/made";

/** Ends when the worker has been killed where it stood. */
async function runAndDie(toolUseId: string, stopAt: CrashPoint, ran = false): Promise<void> {
  const { organizationId, sessionId, sandbox } = opened;
  const request: CrashRequest = {
    databaseUrl: test.url,
    socketPath: host.socketPath,
    sandboxId: sandbox.reference.id,
    organizationId,
    sessionId,
    command: ran ? null : command,
    toolUseId,
    stopAt,
  };
  const program = new URL("./crash-worker.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, JSON.stringify(request)], { stdio: ["ignore", "pipe", "inherit"] });
  const [said] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(said).toBe("stopped");
}

const historyOf = async (toolUseId: string) => {
  const rows = await test.database
    .selectFrom("file_versions")
    .select(["path", "operation", "version"])
    .where("tool_use_id", "=", toolUseId)
    .orderBy("path")
    .execute();
  return rows.map(({ path, operation, version }) => `${path} ${operation} v${version}`);
};
const conflictsOf = async (toolUseId: string) =>
  (await test.database.selectFrom("file_conflicts").select("path").where("tool_use_id", "=", toolUseId).execute())
    .length;

/** What the command did, once: an append merged, a file replaced under it, one made, one deleted, a directory. */
const everything = ["/log.md merge v3", "/made make_directory v1", "/new.md create v1", "/old.md delete v2"];

async function meanwhile(): Promise<void> {
  await opened.saveOver("/memory/org/log.md", "start\ntheirs\n");
  await opened.saveOver("/memory/org/plan.md", "theirs\n");
}

async function expectEverythingOnce(toolUseId: string, sync: string | null): Promise<void> {
  expect(await historyOf(toolUseId)).toEqual(everything);
  expect(await conflictsOf(toolUseId)).toBe(1);
  expect(await opened.stored("/memory/org/log.md")).toBe("start\ntheirs\nours\n");
  expect(await opened.stored("/memory/org/plan.md")).toBe("theirs\n");
  // Whatever was told before is told again: its result was never recorded.
  for (const line of [
    "merged /memory/org/log.md",
    "NOT SAVED /memory/org/plan.md",
    "saved /memory/org/new.md (new, v1)",
  ])
    expect(sync).toContain(line);
  expect(sync).toContain("deleted /memory/org/old.md");
  expect(sync).not.toContain("quiet");
  const copy = /Your version is in (\S+)\./.exec(sync ?? "")?.[1] ?? "";
  expect(await opened.run(`cat /memory/org/log.md /memory/org/plan.md ${copy}; ls /memory/org`)).toMatchObject({
    output: "start\ntheirs\nours\ntheirs\nours\nlog.md\nmade\nnew.md\nplan.md\nquiet\n",
    sync: null,
  });
}

describe("a worker that dies", () => {
  it("while it lays: no command has run, and everything is laid again", async () => {
    const toolUseId = createId("event");
    await runAndDie(toolUseId, "laid");
    const ran = await opened.run("ls /memory/org | wc -l; cat /memory/org/log.md");
    expect(ran).toMatchObject({ output: "4\nstart\n", sync: null });
    expect(await historyOf(toolUseId)).toEqual([]);
  });

  it("after the command ran, before anything was captured: all of it is captured", async () => {
    const toolUseId = createId("event");
    await runAndDie(toolUseId, "ran");
    expect(await historyOf(toolUseId)).toEqual([]);
    await meanwhile();
    await expectEverythingOnce(toolUseId, await opened.projection.after(workspaceOf(opened.sandbox), toolUseId));
  });

  it("after the commit, before copies and report: nothing is committed twice, and all of it is told", async () => {
    const toolUseId = createId("event");
    await captureAndDie(toolUseId, "committed");
    expect(await historyOf(toolUseId)).toEqual(everything);
    await expectEverythingOnce(toolUseId, await opened.projection.after(workspaceOf(opened.sandbox), toolUseId));
  });

  it("after the capture, before the result was recorded: nothing happens again, and what was saved is told", async () => {
    const toolUseId = createId("event");
    await captureAndDie(toolUseId, "captured");
    const sync = await opened.projection.after(workspaceOf(opened.sandbox), toolUseId);
    expect(await historyOf(toolUseId)).toEqual(everything);
    expect(await conflictsOf(toolUseId)).toBe(1);
    expect(sync).toContain("saved /memory/org/new.md (new, v1)");
    expect(sync).toContain("merged /memory/org/log.md (v2→v3)");
    expect((await opened.run("cat /memory/org/log.md /memory/org/plan.md")).output).toBe(
      "start\ntheirs\nours\ntheirs\n",
    );
  });
});

/** Others change the files while the command runs, and the worker dies in its capture, or after it. */
async function captureAndDie(toolUseId: string, stopAt: CrashPoint): Promise<void> {
  const workspace = workspaceOf(opened.sandbox);
  await opened.projection.before(workspace);
  await opened.sandbox.resume();
  await opened.sandbox.session.run({ command, workingDirectory: "/workspace" });
  await opened.sandbox.suspend();
  await meanwhile();
  await runAndDie(toolUseId, stopAt, true);
  opened.newWorker();
}
