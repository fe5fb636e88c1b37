import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { storedMounts } from "../mounts.ts";
import { createTestSession } from "../postgres/testing.ts";
import { createProjection } from "../projection.ts";
import { createTestSandbox, runProjected, startTestHost, type TestHost, workspaceOf } from "../testing.ts";
import { encodeText } from "../text.ts";
import { createBaselineCache } from "./baseline.ts";
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
});
afterEach(() => opened?.sandbox.destroy());

describe("many sandboxes", () => {
  it("that append to one file lose nothing and repeat nothing", async () => {
    await opened.save("/memory/org/race.md", "start\n");
    const runners = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const owner = {
          organizationId: opened.organizationId,
          sessionId: await createTestSession(test.database, opened.organizationId),
        };
        const mine = createProjection({
          files: opened.files,
          baselines: createBaselineCache(),
          ...owner,
          mounts: storedMounts,
        });
        return { mine, box: await createTestSandbox(host.provider) };
      }),
    );
    await Promise.all(
      runners.map(async ({ mine, box }, runner) => {
        for (let round = 0; round < 5; round += 1) {
          await runProjected(box, mine, `echo ${runner} ${round} >> /memory/org/race.md`);
        }
        await box.destroy();
      }),
    );
    const lines = (await opened.stored("/memory/org/race.md"))?.trim().split("\n") ?? [];
    expect(lines).toHaveLength(21);
    expect(new Set(lines).size).toBe(21);
  }, 30_000);
});

describe("another worker", () => {
  it("saves what a command changed before the first worker was lost", async () => {
    await opened.save("/memory/org/log.md", "start\n");
    await opened.save("/memory/org/gone.md", "x\n");
    await opened.save("/memory/org/quiet.md", "x\n");
    await opened.projection.before(workspaceOf(opened.sandbox));
    await opened.sandbox.resume();
    await opened.sandbox.session.run({
      command: "echo ours >> /memory/org/log.md; rm /memory/org/gone.md",
      workingDirectory: "/workspace",
    });
    await opened.sandbox.suspend();
    await opened.saveOver("/memory/org/log.md", "start\ntheirs\n");
    opened.newWorker();
    const sync = await opened.projection.after(workspaceOf(opened.sandbox), "sevt_taken_over");
    expect(sync).toContain("merged /memory/org/log.md (v1→v3)");
    expect(sync).toContain("deleted /memory/org/gone.md");
    expect(sync).not.toContain("quiet");
    expect(await opened.stored("/memory/org/log.md")).toBe("start\ntheirs\nours\n");
  });

  it("does not merge a second time what was merged before the crash", async () => {
    await opened.save("/memory/org/log.md", "start\n");
    const { organizationId, sessionId } = opened;
    const key = { organizationId, sessionId, sandboxId: opened.sandbox.reference.id, generation: 1 };
    await opened.run("true");
    const { record } = await opened.files.projections.stand(key, storedMounts);
    await opened.run("echo ours >> /memory/org/log.md", () => opened.saveOver("/memory/org/log.md", "start\ntheirs\n"));
    // The moment after the commit: the record is the old one, and the copy is not merged yet.
    await opened.files.projections.save(key, record ?? { revisions: new Map(), prefixes: new Map() });
    await opened.sandbox.session.writeBinaryFile({ path: "/memory/org/log.md", content: encodeText("start\nours\n") });
    opened.newWorker();
    expect(await opened.projection.after(workspaceOf(opened.sandbox), "sevt_again")).toBeNull();
    expect(await opened.stored("/memory/org/log.md")).toBe("start\ntheirs\nours\n");
    expect((await opened.run("cat /memory/org/log.md")).output).toBe("start\ntheirs\nours\n");
  });

  it("that comes back after another one looks anew", async () => {
    await opened.save("/memory/org/log.md", "start\n");
    const first = opened.projection;
    await opened.run("true");
    opened.newWorker();
    await opened.run("echo second >> /memory/org/log.md");
    await opened.saveOver("/memory/org/log.md", "start\nsecond\nthird\n");
    opened.projection = first;
    expect(await opened.run("cat /memory/org/log.md")).toMatchObject({ output: "start\nsecond\nthird\n", sync: null });
    expect(await opened.stored("/memory/org/log.md")).toBe("start\nsecond\nthird\n");
  });
});
