/** Whose files a session sees, what it has read, and how a note of one person's becomes everybody's: driven by the loop. */
import { createId } from "@exoloop/protocol/ids";
import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createHistoryStore } from "../files/history-store.ts";
import { personalMemoryMount } from "../files/mounts.ts";
import { createStoredFiles, type StoredFiles } from "../files/postgres/stored-files.ts";
import { createSessionFiles } from "../files/session-files.ts";
import { readSessionView } from "../files/session-mounts.ts";
import type { FileActor } from "../files/store.ts";
import { encodeText } from "../files/text.ts";
import type { LogEvent } from "../sessions/event.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { builtInTools } from "../tools/built-in.ts";
import { createToolRegistry } from "../tools/registry.ts";
import { createToolContext } from "../tools/session-context.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";
import { resultTexts } from "./testing-threads.ts";

let turns: TurnTest;
let files: StoredFiles;
let organizationId: string;
let ann: string;
let bob: string;
beforeAll(async () => {
  turns = await startTurnTest();
  const { database } = turns.test;
  files = createStoredFiles(database);
  const absent = () => Promise.reject(new Error("no sandbox in this test"));
  const parts = {
    viewOf: (owner: TestSession) => readSessionView(database, owner),
    filesOf: (
      owner: TestSession,
      { mounts }: { mounts: Awaited<ReturnType<typeof readSessionView>>["mounts"] },
      trace: { untrusted: boolean },
    ) =>
      createSessionFiles({
        files,
        ...owner,
        mounts,
        trace,
        history: createHistoryStore(database, owner.sessionId),
        useWorkspace: absent,
      }),
    commandsOf: () => ({ run: absent }),
    backgroundOf: () => ({ start: absent, list: absent, read: absent, kill: absent }),
    saveFiles: () => Promise.resolve(),
    describeOrigin: (
      owner: TestSession,
      view: { mounts: Awaited<ReturnType<typeof readSessionView>>["mounts"] },
      path: string,
    ) => files.describeOrigin(owner.organizationId, view.mounts, path),
  };
  Object.assign(turns.dependencies, {
    tools: createToolRegistry(builtInTools),
    toolContext: (...[claim, call, options]: Parameters<TurnTest["dependencies"]["toolContext"]>) =>
      createToolContext(parts, claim, call, options),
  });
}, 60_000);
afterAll(() => turns?.stop());
beforeEach(async () => {
  organizationId = createId("organization");
  await turns.test.database.insertInto("organizations").values({ id: organizationId, name: "test" }).execute();
  [ann, bob] = [await newUser("Ann"), await newUser("Bob")];
});

async function newUser(name: string): Promise<string> {
  const id = createId("user");
  const row = { id, organization_id: organizationId, external_id: name, name };
  await turns.test.database.insertInto("users").values(row).execute();
  return id;
}

async function newSession(user_id: string | null, visibility: "private" | "shared" = "private"): Promise<TestSession> {
  const { sessionId } = await insertTestSession(turns.test.database);
  await turns.test.database
    .updateTable("sessions")
    .set({ organization_id: organizationId, user_id, visibility })
    .where("id", "=", sessionId)
    .execute();
  return { organizationId, sessionId };
}

/** One exchange: these calls, one after the other, and what they answered. */
async function call(session: TestSession, ...calls: (readonly [name: string, input: object])[]) {
  const steps = calls.map(([name, input]) => ({ toolCalls: [{ name, input }] }));
  const before = await turns.eventually(session, () => true);
  await turns.send(session, script([...steps, { text: "Done." }]));
  const rests = before.filter((event) => event.type === "session.status_idle").length + 1;
  return (await turns.eventually(session, idleTimes(rests))).slice(before.length);
}
const answers = async (...given: Parameters<typeof call>) => resultTexts(await call(...given));

const write = (file_path: string, content: string) => ["write", { file_path, content }] as const;
const read = (file_path: string) => ["read", { file_path }] as const;
const person = (userId: string): FileActor => ({
  organizationId,
  sessionId: null,
  toolUseId: null,
  via: "api",
  userId,
});
const secret = "the secret is under the third stone of the garden\n";

describe("a person's own memory", () => {
  it("is seen in private sessions of that person, and nowhere else by any tool", async () => {
    const first = await newSession(ann);
    expect(await answers(first, write("/memory/me/a.md", secret))).toEqual([expect.stringContaining("created")]);
    expect((await answers(await newSession(ann), read("/memory/me/a.md")))[0]).toContain("third stone");
    const others = [await newSession(bob), await newSession(ann, "shared"), await newSession(null, "shared")];
    for (const other of others) {
      const told = await answers(
        other,
        read("/memory/me/a.md"),
        read(`/memory/user/${ann}/a.md`),
        read("/memory/me/../me/a.md"),
        ["glob", { pattern: "**/*", path: "/memory" }],
        ["grep", { pattern: "third stone", path: "/memory" }],
        ["edit", { file_path: "/memory/me/a.md", old_string: "third", new_string: "first" }],
        ["promote_memory", { from: "/memory/me/a.md", to: "/memory/org/a.md" }],
      );
      expect(told.length).toBe(7);
      expect(told.join("\n")).not.toContain("stone of");
      expect(
        told.filter((text) => /does not exist|Nothing can be stored|[Nn]o (files|matches)/.test(text)).length,
      ).toBe(7);
    }
    // Bob's own is another one.
    await answers(others[0] ?? first, write("/memory/me/a.md", "of Bob"));
    expect((await answers(first, read("/memory/me/a.md")))[0]).toContain("third stone");
  });

  it("is gone from a session with its next call when that is shared", async () => {
    const session = await newSession(ann);
    await call(session, write("/memory/me/a.md", secret));
    const { database } = turns.test;
    await database.updateTable("sessions").set({ visibility: "shared" }).where("id", "=", session.sessionId).execute();
    expect((await answers(session, read("/memory/me/a.md")))[0]).toContain("does not exist");
  });

  it("does not enter shared memory as it is by writing", async () => {
    const session = await newSession(ann);
    const told = await answers(
      session,
      write("/memory/me/a.md", secret),
      write("/memory/org/a.md", secret),
      write("/memory/org/b.md", "short"),
    );
    expect(told[1]).toMatch(/\/memory\/org\/a\.md .*promote_memory/);
    expect(told[2]).toContain("created");
    expect(await files.manifest(organizationId, organizationMount())).toMatchObject([{ path: "/memory/org/b.md" }]);
  });
});

const organizationMount = () => ({ ...personalMemoryMount(""), key: "memory/org", prefix: "/memory/org" });

describe("promotion", () => {
  const promote = ["promote_memory", { from: "/memory/me/a.md", to: "/memory/org/a.md" }] as const;
  const asked = (events: readonly LogEvent[]) => events.findLast((event) => event.type === "agent.tool_use");

  async function askFor(before?: string) {
    const session = await newSession(ann);
    const store = files.open({ organizationId, sessionId: null }, organizationMount());
    if (before !== undefined) await store.write("/memory/org/a.md", encodeText(before), person(bob));
    await call(session, write("/memory/me/a.md", secret));
    const question = asked(await call(session, promote));
    const answer = async (result: "allow" | "deny") => {
      const seen = await turns.eventually(session, () => true);
      const rests = seen.filter((event) => event.type === "session.status_idle").length + 1;
      await turns.send(session, { type: "user.tool_confirmation", tool_use_id: question?.id ?? "", result });
      return resultTexts((await turns.eventually(session, idleTimes(rests))).slice(seen.length))[0];
    };
    return { session, store, question, answer };
  }

  it("asks whatever the agent may do, shows what will change, and does it once it is approved", async () => {
    const { question, answer, store } = await askFor("of before\n");
    expect(question?.data).toMatchObject({
      evaluated_permission: "ask",
      x_exoloop: {
        review: `--- /memory/org/a.md, version 1\n+++ /memory/org/a.md\n@@ -1,1 +1,1 @@\n-of before\n+${secret.trim()}`,
      },
    });
    expect(new TextDecoder().decode((await store.read("/memory/org/a.md")).bytes)).toBe("of before\n");
    expect(await answer("allow")).toBe("promoted /memory/me/a.md to /memory/org/a.md, version 2");
    expect(new TextDecoder().decode((await store.read("/memory/org/a.md")).bytes)).toBe(secret);
    expect(await files.describeOrigin(organizationId, [organizationMount()], "/memory/org/a.md")).toContain("approved");
  });

  it("does nothing when it is denied, and when either file has changed since", async () => {
    const denied = await askFor();
    await denied.answer("deny");
    await expect(denied.store.read("/memory/org/a.md")).rejects.toMatchObject({ code: "not_found" });
    const changed = await askFor();
    const mine = files.open({ organizationId, sessionId: null }, personalMemoryMount(ann));
    await mine.edit("/memory/me/a.md", { oldText: "third", newText: "first", all: false }, person(ann));
    expect(await changed.answer("allow")).toContain("has changed since it was approved");
    const raced = await askFor();
    await raced.store.write("/memory/org/a.md", encodeText("theirs"), person(bob));
    expect(await raced.answer("allow")).toMatch(/exists already|Nothing was written/);
    expect(new TextDecoder().decode((await raced.store.read("/memory/org/a.md")).bytes)).toBe("theirs");
  });
});

it("promotion tells nothing of what the agent may not read", async () => {
  const session = await newSession(ann);
  await call(session, write("/memory/me/hr/a.md", secret), write("/memory/org/hr/a.md", "of the organization"));
  const hidden = ["/memory/me/hr", "/memory/org/hr"];
  const file_rules = hidden.map((path) => ({ action: "file.read", path, decision: "deny" }));
  await sql`update sessions set agent = jsonb_set(agent, '{tools,0,x_exoloop}', ${JSON.stringify({ file_rules })}::jsonb)
    where id = ${session.sessionId}`.execute(turns.test.database);
  const events = await call(
    session,
    ["promote_memory", { from: "/memory/me/hr/a.md", to: "/memory/org/b.md" }],
    ["promote_memory", { from: "/memory/me/hr/none.md", to: "/memory/org/b.md" }],
  );
  expect(resultTexts(events)).toEqual([
    "promote_memory: /memory/me/hr/a.md does not exist.",
    "promote_memory: /memory/me/hr/none.md does not exist.",
  ]);
  expect(JSON.stringify(events)).not.toContain("third stone");
});

describe("what nobody vouches for", () => {
  const marked = async (path: string) => files.anyUntrusted(organizationId, organizationMount(), [path]);
  const isUntrusted = async ({ sessionId }: TestSession) =>
    (await readSessionView(turns.test.database, { organizationId, sessionId })).untrusted;

  async function taint(session: TestSession) {
    const message = { type: "user.message" as const, content: [{ type: "text" as const, text: "From an email: hi" }] };
    await turns.send(session, { ...message, x_exoloop: { untrusted: true } });
    await turns.eventually(session, idleTimes(1));
  }

  it("marks what a session writes from then on, is told to readers, and spreads to them", async () => {
    const first = await newSession(ann);
    await call(first, write("/memory/org/before.md", "before"));
    expect([await isUntrusted(first), await marked("/memory/org/before.md")]).toEqual([false, false]);
    const tainted = await newSession(ann);
    await taint(tainted);
    await call(tainted, write("/memory/org/after.md", "do as I say"));
    expect([await isUntrusted(tainted), await marked("/memory/org/after.md")]).toEqual([true, true]);
    const reader = await newSession(bob);
    expect((await answers(reader, read("/memory/org/before.md")))[0]).toMatch(/written by Ann in session sesn_/);
    expect(await isUntrusted(reader)).toBe(false);
    expect((await answers(reader, read("/memory/org/after.md")))[0]).toContain("UNTRUSTED");
    expect(await isUntrusted(reader)).toBe(true);
    await call(reader, write("/memory/org/third.md", "said on"));
    expect(await marked("/memory/org/third.md")).toBe(true);
  });

  it.each([
    ["a search", ["grep", { pattern: "say", path: "/memory" }]],
    ["a list of names", ["glob", { pattern: "*", path: "/memory/org" }]],
    ["an edit", ["edit", { file_path: "/memory/org/a.md", old_string: "say", new_string: "tell" }]],
  ] as const)("spreads by %s, too", async (_name, way) => {
    const store = files.open({ organizationId, sessionId: null }, organizationMount());
    await store.write("/memory/org/a.md", encodeText("do as I say"), { ...person(ann), untrusted: true });
    const session = await newSession(bob);
    await call(session, way);
    expect([await isUntrusted(session), await marked("/memory/org/a.md")]).toEqual([true, true]);
  });

  it("marks what a worker of the session writes over the API", async () => {
    const [session, clean] = [await newSession(ann), await newSession(ann)];
    await taint(session);
    const store = files.open({ organizationId, sessionId: null }, organizationMount());
    const worker = ({ sessionId }: TestSession) => ({ ...person(ann), sessionId });
    await store.write("/memory/org/a.md", encodeText("of a worker"), worker(session));
    await store.write("/memory/org/b.md", encodeText("of a worker"), worker(clean));
    expect([await marked("/memory/org/a.md"), await marked("/memory/org/b.md")]).toEqual([true, false]);
  });

  it("stays with what is edited by whoever has not read it, and is taken away by vouching", async () => {
    const store = files.open({ organizationId, sessionId: null }, organizationMount());
    await store.write("/memory/org/a.md", encodeText("one two"), { ...person(ann), untrusted: true });
    await store.edit("/memory/org/a.md", { oldText: "one", newText: "1", all: false }, person(bob));
    expect(await marked("/memory/org/a.md")).toBe(true);
    await files.vouch({ mount: organizationMount(), path: "/memory/org/a.md", version: 2, by: person(bob) });
    await store.edit("/memory/org/a.md", { oldText: "two", newText: "2", all: false }, person(bob));
    expect(await marked("/memory/org/a.md")).toBe(false);
    const session = await newSession(bob);
    await call(session, read("/memory/org/a.md"));
    expect(await isUntrusted(session)).toBe(false);
  });
});
