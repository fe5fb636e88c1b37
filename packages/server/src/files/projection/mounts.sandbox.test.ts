import { createId } from "@exoloop/protocol/ids";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount, personalMemoryMount, type StoredMount, storedMounts } from "../mounts.ts";
import { actorOf } from "../postgres/testing.ts";
import { startTestHost, type TestHost, workspaceOf } from "../testing.ts";
import { encodeText } from "../text.ts";
import { createBaselineCache } from "./baseline.ts";
import { openProjectionTest, type ProjectionTest } from "./testing.ts";

let test: TestDatabase;
let host: TestHost;
let opened: ProjectionTest;
/** The one cache of a worker that asks anew for each command what its session sees. */
let baselines: ReturnType<typeof createBaselineCache>;

beforeAll(async () => {
  test = await createTestDatabase();
  host = await startTestHost();
}, 90_000);
afterAll(async () => {
  await host?.stop();
  await test?.drop();
}, 30_000);
beforeEach(async () => {
  baselines = createBaselineCache();
  opened = await openProjectionTest(test, host);
});
afterEach(() => opened?.sandbox.destroy());

const store = (name: string, access: StoredMount["access"]): StoredMount => ({
  ...organizationMemoryMount,
  key: `store/memstore_${name}`,
  prefix: `/memory/${name}`,
  access,
});
const see = (...mounts: readonly StoredMount[]) =>
  opened.newWorker({ baselines, mounts: [...storedMounts, ...mounts] });
const put = (mount: StoredMount, path: string, text: string) =>
  opened.files
    .open({ organizationId: opened.organizationId, sessionId: null }, mount)
    .write(path, encodeText(text), actorOf(opened.organizationId, null, "api"));
const heads = async (mount: StoredMount) =>
  (await opened.files.manifest(opened.organizationId, mount)).map(({ path, version }) => `${path} v${version}`);

describe("mounts that come and go", () => {
  it("a store that is attached appears with the next command, and is gone with it when it is detached", async () => {
    const notes = store("notes", "read_write");
    await put(notes, "/memory/notes/a.md", "a\n");
    see();
    expect((await opened.run("ls -A /memory; echo x > /workspace/kept")).output).toBe(".default\norg\n");
    see(notes);
    const report = await opened.run("cat /memory/notes/a.md; echo b > /memory/notes/b.md");
    expect(report).toMatchObject({
      output: "a\n",
      sync: expect.stringContaining("saved /memory/notes/b.md (new, v1)"),
    });
    see();
    const gone = await opened.run("ls /memory; cat /workspace/kept");
    expect(gone.output).toBe("org\nx\n");
    expect(gone.sync).toContain("/memory/notes is not attached to this session any more");
    expect(await heads(notes)).toEqual(["/memory/notes/a.md v1", "/memory/notes/b.md v1"]);
  });

  it("what the last command wrote into a store that was detached under it is saved, and then goes", async () => {
    const notes = store("notes", "read_write");
    see(notes);
    const report = await opened.run("echo b > /memory/notes/b.md", () => {
      see();
      return Promise.resolve();
    });
    expect(report.sync).toContain("saved /memory/notes/b.md (new, v1)");
    expect((await opened.run("ls /memory")).output).toBe("org\n");
    expect(await heads(notes)).toEqual(["/memory/notes/b.md v1"]);
  });

  it("another worker removes what it has never laid", async () => {
    const notes = store("notes", "read_write");
    await put(notes, "/memory/notes/a.md", "a\n");
    see(notes);
    await opened.run("true");
    baselines = createBaselineCache();
    see();
    expect((await opened.run("ls /memory")).output).toBe("org\n");
    expect(await heads(notes)).toEqual(["/memory/notes/a.md v1"]);
  });

  it("a store under another name moves; one that may not be written any more is put back", async () => {
    const notes = store("notes", "read_write");
    await put(notes, "/memory/notes/a.md", "a\n");
    see(notes);
    await opened.run("true");
    see({ ...notes, prefix: "/memory/papers" });
    expect((await opened.run("ls /memory; cat /memory/papers/a.md")).output).toBe("org\npapers\na\n");
    see({ ...notes, prefix: "/memory/papers", access: "read_only" });
    const report = await opened.run(
      "cd /memory/papers; stat -c %a a.md; chmod u+w a.md; echo evil >> a.md; echo x > b.md; mkdir d; rm -f a.md",
    );
    expect(report.output).toBe("444\n");
    expect(report.sync).toContain("not saved: /memory/papers/a.md (read-only; it is back)");
    expect(report.sync).toContain("not saved: /memory/papers/b.md (read-only; use /workspace)");
    expect(report.sync).toContain("not saved: /memory/papers/d (read-only; use /workspace)");
    expect((await opened.run("ls /memory/papers; cat /memory/papers/a.md")).output).toBe("a.md\na\n");
    expect(await heads(notes)).toEqual(["/memory/notes/a.md v1"]);
  });
});

describe("the default memory", () => {
  it("is a person's own, a store, or the organization's, and a link leads there", async () => {
    const own = personalMemoryMount(createId("user"));
    const into = (name: string) => `readlink /memory/.default; echo x > /memory/.default/${name}.md`;
    see();
    expect((await opened.run(into("one"))).output).toBe("org\n");
    see(store("notes", "read_write"));
    expect((await opened.run(into("two"))).output).toBe("notes\n");
    see(own, store("notes", "read_write"));
    const report = await opened.run(`${into("three")}; rm /memory/.default; ln -s /etc /memory/.default`);
    expect(report.output).toBe("me\n");
    expect(report.sync).toBe("<files_sync>\nsaved /memory/me/three.md (new, v1)\n</files_sync>");
    expect((await opened.run("readlink /memory/.default")).output).toBe("me\n");
    expect(await heads(organizationMemoryMount)).toEqual(["/memory/org/one.md v1"]);
    expect(await heads(store("notes", "read_write"))).toEqual(["/memory/notes/two.md v1"]);
    expect(await heads(own)).toEqual(["/memory/me/three.md v1"]);
  });
});

describe("a person's own memory", () => {
  it("does not enter shared memory with the command that writes it", async () => {
    const userId = createId("user");
    const user = { id: userId, organization_id: opened.organizationId, external_id: "ann", name: "Ann" };
    await test.database.insertInto("users").values(user).execute();
    const own = personalMemoryMount(userId);
    opened.newWorker({ baselines, mounts: [...storedMounts, own], userId });
    const text = "What only Ann is to know, in more than 32 bytes.";
    const report = await opened.run(
      `echo '${text}' > /memory/me/a.md; cp /memory/me/a.md /memory/org/b.md; ls /memory/org`,
    );
    expect(report.sync).toContain("saved /memory/me/a.md (new, v1)");
    expect(report.sync).toContain("promote_memory");
    expect(await heads(organizationMemoryMount)).toEqual([]);
    expect(await heads(own)).toEqual(["/memory/me/a.md v1"]);
  });
});

describe("others", () => {
  it("are told by name, and only to whoever lost", async () => {
    const userId = createId("user");
    const user = { id: userId, organization_id: opened.organizationId, external_id: "ann", name: "Ann" };
    await test.database.insertInto("users").values(user).execute();
    const ours = opened.files.open(
      { organizationId: opened.organizationId, sessionId: opened.sessionId },
      organizationMemoryMount,
    );
    const write = async (path: string, text: string) => {
      await opened.other.store.read(path).catch(() => null);
      const actor = { ...actorOf(opened.organizationId, opened.other.sessionId), userId };
      await opened.other.store.write(path, encodeText(text), actor);
    };
    for (const name of ["plan", "read", "unread", "ended"]) await write(`/memory/org/${name}.md`, "1\n");
    see();
    for (const name of ["plan", "read", "ended"]) await ours.read(`/memory/org/${name}.md`);
    expect((await opened.run("true")).sync).toBeNull();
    await write("/memory/org/read.md", "2\n");
    await write("/memory/org/unread.md", "2\n");
    await opened.other.store.remove("/memory/org/ended.md", actorOf(opened.organizationId, opened.other.sessionId));
    const report = await opened.run("echo ours > /memory/org/plan.md", () => write("/memory/org/plan.md", "theirs\n"));
    const who = `Ann (session ${opened.other.sessionId})`;
    expect(report.sync?.split("\n").slice(1, -1).sort()).toEqual([
      expect.stringContaining(`NOT SAVED /memory/org/plan.md: your command started from v1, but ${who} saved v2 at `),
      `changed by others since you read it: /memory/org/read.md v1→v2 (${who})`,
      "deleted by others since you read it: /memory/org/ended.md (you read v1)",
    ]);
    expect((await opened.run("cat /memory/org/plan.md")).sync).toBeNull();
    // Once.
    expect(await opened.projection.after(workspaceOf(opened.sandbox), "sevt_again")).toBeNull();
  });
});
