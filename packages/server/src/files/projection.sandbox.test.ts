import type { Sandbox } from "@exoloop/sandbox/contract";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { organizationMemoryMount as memory, storedMounts } from "./mounts.ts";
import { createStoredFiles, type StoredFiles } from "./postgres/stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "./postgres/testing.ts";
import { createBaselineCache } from "./projection/baseline.ts";
import { createProjection, type FileProjection } from "./projection.ts";
import type { FileStore } from "./store.ts";
import { createTestSandbox, runProjected, startTestHost, type TestHost, workspaceOf } from "./testing.ts";
import { skillManifest } from "./testing-skills.ts";
import { decodeText, encodeText } from "./text.ts";

let test: TestDatabase;
let host: TestHost;
let files: StoredFiles;
let organizationId: string;
let sessionId: string;
let sandbox: Sandbox;
let projection: FileProjection;
/** Another session of the same organization. */
let other: { store: FileStore; sessionId: string };

beforeAll(async () => {
  test = await createTestDatabase();
  host = await startTestHost();
  files = createStoredFiles(test.database);
}, 90_000);
afterAll(async () => {
  await host?.stop();
  await test?.drop();
}, 30_000);

beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
  const otherId = await createTestSession(test.database, organizationId);
  other = { store: files.open({ organizationId, sessionId: otherId }, memory), sessionId: otherId };
  sandbox = await createTestSandbox(host.provider);
  projection = newWorker();
});
afterEach(() => sandbox?.destroy());

/** The projection as a worker that has just started makes it. */
function newWorker(): FileProjection {
  return createProjection({ files, baselines: createBaselineCache(), organizationId, sessionId, mounts: storedMounts });
}
const run = (command: string, meanwhile?: () => Promise<unknown>) =>
  runProjected(sandbox, projection, command, meanwhile);
const save = (path: string, text: string) =>
  other.store.write(path, encodeText(text), actorOf(organizationId, other.sessionId));
const saveOver = async (path: string, text: string) => {
  await other.store.read(path);
  return save(path, text);
};
const stored = async (path: string) => decodeText((await other.store.read(path)).bytes);
const importReview = () =>
  files.importSkill(organizationId, "review", [
    skillManifest("review", "how to review\n"),
    { path: "run.sh", bytes: encodeText("#!/bin/sh\necho ran\n"), executable: true },
  ]);

describe("before a command", () => {
  it("directories are there, also where nothing is stored", async () => {
    expect((await run("ls -d /memory/org; echo x > $MEMORY/org/note.md")).output).toBe("/memory/org\n");
    expect(await stored("/memory/org/note.md")).toBe("x\n");
  });
  it("files are there, also many, and later changes follow", async () => {
    await importReview();
    for (let index = 0; index < 30; index += 1) await save(`/memory/org/notes/${index}.md`, `note ${index}\n`);
    await save(`/memory/org/${"long-".repeat(30)}/${"name-".repeat(30)}.md`, "far away\n");
    const first = await run(
      "tail -n 1 /skills/review/SKILL.md; /skills/review/run.sh; cat /memory/org/notes/*.md | wc -l; cat /memory/org/long*/*",
    );
    expect(first).toMatchObject({ output: "how to review\nran\n30\nfar away\n", sync: null });
    await saveOver("/memory/org/notes/3.md", "changed\n");
    await other.store.remove("/memory/org/notes/4.md", actorOf(organizationId, other.sessionId));
    expect(await run("cat /memory/org/notes/3.md; ls /memory/org/notes | wc -l")).toMatchObject({
      output: "changed\n29\n",
      sync: null,
    });
  });
});

describe("after a command", () => {
  it("new, changed, executable and deleted files are saved", async () => {
    await save("/memory/org/a.md", "a\n");
    const made = await run(
      "echo new > /memory/org/b.md; echo more >> /memory/org/a.md; printf '#!/bin/sh\\n' > /memory/org/c.sh; chmod +x /memory/org/c.sh",
    );
    expect(made.sync?.split("\n").sort()).toEqual([
      "</files_sync>",
      "<files_sync>",
      "saved /memory/org/a.md (v1→v2)",
      "saved /memory/org/b.md (new, v1)",
      "saved /memory/org/c.sh (new, v1)",
    ]);
    expect(await stored("/memory/org/a.md")).toBe("a\nmore\n");
    const heads = await files.manifest(organizationId, memory);
    expect(heads.map((head) => [head.path, head.executable])).toEqual([
      ["/memory/org/a.md", false],
      ["/memory/org/b.md", false],
      ["/memory/org/c.sh", true],
    ]);
    expect((await run("touch /memory/org/a.md; cat /memory/org/b.md")).sync).toBeNull();
    expect((await run("rm /memory/org/b.md")).sync).toContain("deleted /memory/org/b.md");
    await expect(stored("/memory/org/b.md")).rejects.toThrow(/does not exist/);
  });

  it("an append merges with what another session appended meanwhile", async () => {
    await save("/memory/org/log.md", "start\n");
    const report = await run("echo ours >> /memory/org/log.md", () =>
      saveOver("/memory/org/log.md", "start\ntheirs\n"),
    );
    expect(report.sync).toContain("merged /memory/org/log.md (v1→v3)");
    expect(await stored("/memory/org/log.md")).toBe("start\ntheirs\nours\n");
    expect((await run("cat /memory/org/log.md")).output).toBe("start\ntheirs\nours\n");
  });

  it("changes of different lines merge, of the same line do not", async () => {
    await save("/memory/org/plan.md", "1\n2\n3\n4\n5\n");
    const merged = await run("sed -i s/1/one/ /memory/org/plan.md", () =>
      saveOver("/memory/org/plan.md", "1\n2\n3\n4\nfive\n"),
    );
    expect(merged.sync).toContain("merged /memory/org/plan.md");
    expect(await stored("/memory/org/plan.md")).toBe("one\n2\n3\n4\nfive\n");
    const lost = await run("sed -i s/3/ours/ /memory/org/plan.md", () =>
      saveOver("/memory/org/plan.md", "one\n2\ntheirs\n4\nfive\n"),
    );
    expect(lost.sync).toContain("NOT SAVED /memory/org/plan.md: your command started from v3");
    expect(lost.sync).toContain(other.sessionId);
    const copy = /Your version is in (\S+)\./.exec(lost.sync ?? "")?.[1] ?? "";
    const after = await run(`cat /memory/org/plan.md; echo --; cat ${copy}`);
    expect(after.output).toBe("one\n2\ntheirs\n4\nfive\n--\none\n2\nours\n4\nfive\n");
    const kept = await test.database
      .selectFrom("file_conflicts")
      .select(["path", "base_version", "head_version"])
      .where("organization_id", "=", organizationId)
      .execute();
    expect(kept).toEqual([{ path: "/plan.md", base_version: 3, head_version: 4 }]);
  });

  it("a file that another session deleted or changed is not lost", async () => {
    await save("/memory/org/a.md", "a\n");
    await save("/memory/org/b.md", "b\n");
    const report = await run("echo more >> /memory/org/a.md; rm /memory/org/b.md", async () => {
      await other.store.remove("/memory/org/a.md", actorOf(organizationId, other.sessionId));
      await saveOver("/memory/org/b.md", "b changed\n");
    });
    expect(report.sync).toContain("another session had deleted it");
    expect(report.sync).toContain("not deleted: /memory/org/b.md");
    expect((await run("cat /memory/org/*")).output).toBe("a\nmore\nb changed\n");
  });

  it("many deletions at once are held", async () => {
    await save("/memory/org/a.md", "a\n");
    await save("/memory/org/b.md", "b\n");
    expect((await run("rm -rf /memory/*")).sync).toContain("held: 2 deletions");
    expect((await run("cat /memory/org/*")).output).toBe("a\nb\n");
  });

  it("links, binaries, large and stray files are refused, once", async () => {
    await save("/memory/org/a.md", "a\n");
    await save("/memory/org/dir/b.md", "b\n");
    const report = await run(
      "cd /memory/org; ln -s /etc/passwd link; printf 'a\\0b' > dump.bin; head -c 2000000 /dev/zero | tr '\\0' x > big.txt; echo s > /memory/stray.md; rm a.md; ln -s /etc/passwd a.md; mv dir /workspace/dir; ln -s /workspace/dir dir",
    );
    expect(report.sync?.split("\n").sort()).toEqual([
      "</files_sync>",
      "<files_sync>",
      "not saved: /memory/org/a.md (symbolic link; what was stored there is back)",
      "not saved: /memory/org/big.txt (larger than 1048576 bytes)",
      "not saved: /memory/org/dir (symbolic link; what was stored there is back)",
      "not saved: /memory/org/dump.bin (binary)",
      "not saved: /memory/org/link (symbolic link)",
      "not saved: /memory/stray.md (only /memory/org is kept)",
    ]);
    expect(
      await run("cat /memory/org/a.md; cat /memory/org/dir/b.md; test -L /memory/org/dir || echo no link"),
    ).toMatchObject({ output: "a\nb\nno link\n", sync: null });
    expect((await files.manifest(organizationId, memory)).map((head) => head.path)).toEqual([
      "/memory/org/a.md",
      "/memory/org/dir/b.md",
    ]);
  });

  it("one file that cannot be stored does not keep the others from it", async () => {
    await save("/memory/org/notes/a.md", "a\n");
    const report = await run(
      "mkdir /memory/org/Notes; echo b > /memory/org/Notes/b.md; echo c > /memory/org/c.md; seq 600 | while read i; do echo $i > /memory/org/n$i.md; done",
    );
    const [, whole] = /… and 553 more: all of them are in (\S+)\./.exec(report.sync ?? "") ?? [];
    expect((await files.manifest(organizationId, memory)).length).toBe(602);
    // All that can be stored is one commit.
    expect(await files.revision(organizationId, memory)).toBe(2);
    expect((await run(`grep -c '^saved /memory/org/n' ${whole}`)).output).toBe("600\n");
    expect(await stored("/memory/org/c.md")).toBe("c\n");
    const again = await run("echo d > /memory/org/Notes/b.md; ls /memory/org | wc -l");
    expect(again.output).toBe("603\n");
    expect(again.sync).toContain("not saved: /memory/org/Notes/b.md (/memory/org/Notes differs only in case");
  });

  it("more entries than can be looked at are told, and can be removed again", async () => {
    await save("/memory/org/a.md", "a\n");
    await run("true");
    const session: typeof sandbox.session = {
      ...sandbox.session,
      surveyTree: (options) => sandbox.session.surveyTree({ ...options, maximumEntries: 3 }),
    };
    const crowded = { ...workspaceOf(sandbox), session };
    await sandbox.session.run({ command: "touch /memory/org/1 /memory/org/2 /memory/org/3", scope: "maintenance" });
    expect(await projection.after(crowded, "sevt_crowded")).toContain("nothing under /memory could be looked at");
    await projection.before(crowded);
    expect((await run("rm /memory/org/[12]; echo ours >> /memory/org/a.md")).sync).toContain(
      "saved /memory/org/a.md (v1→v2)",
    );
  });

  it("/skills stays as it is", async () => {
    await importReview();
    const report = await run(
      "cd /skills/review; chmod u+w . *; echo evil > SKILL.md; rm run.sh; echo x > added.md; ln -s /etc/passwd link",
    );
    expect(report.sync).toContain("not saved: /skills/review/SKILL.md (read-only");
    expect(await run("tail -n 1 /skills/review/SKILL.md; /skills/review/run.sh; ls /skills/review")).toMatchObject({
      output: "how to review\nran\nSKILL.md\nrun.sh\n",
      sync: null,
    });
  });
});
