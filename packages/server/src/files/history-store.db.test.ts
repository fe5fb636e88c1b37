import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { publicEvent } from "../sessions/event.ts";
import { appendUnderLock } from "../sessions/log.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { createHistoryStore } from "./history-store.ts";
import { nothingFound } from "./store.ts";
import type { FileActor } from "./store.ts";
import { decodeText } from "./text.ts";

let postgres: TestDatabase;
let session: TestSession;
let other: TestSession;

const text = (value: string) => [{ type: "text", text: value }];

beforeAll(async () => {
  postgres = await createTestDatabase();
  session = await insertTestSession(postgres.database);
  other = await insertTestSession(postgres.database);
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } };
  const source = { type: "base64", media_type: "application/pdf", data: "AA==" };
  const pdf = { type: "document", source, context: "[page 1 of 1]" };
  await appendUnderLock(postgres.database, session.sessionId, [
    publicEvent("agent.tool_use", { name: "bash", input: { command: "ls" } }, { id: "sevt_one" }),
    publicEvent("agent.tool_result", { tool_use_id: "sevt_one", content: text("first\nneedle here"), is_error: false }),
    publicEvent("agent.custom_tool_use", { name: "ask", input: {} }, { id: "sevt_two" }),
    publicEvent("user.custom_tool_result", {
      custom_tool_use_id: "sevt_two",
      content: [...text("needle too"), image, pdf],
    }),
  ]);
  await appendUnderLock(postgres.database, other.sessionId, [
    publicEvent("agent.tool_use", { name: "bash", input: {} }, { id: "sevt_foreign" }),
    publicEvent("agent.tool_result", { tool_use_id: "sevt_foreign", content: text("needle"), is_error: false }),
  ]);
}, 60_000);
afterAll(() => postgres.drop());

const open = () => createHistoryStore(postgres.database, session.sessionId);

test("shows a call and its whole result", async () => {
  const { bytes } = await open().read("/history/sevt_one.txt");
  expect(decodeText(bytes)).toBe('bash {"command":"ls"}\nfirst\nneedle here\n');
  expect(decodeText((await open().read("/history/sevt_two.txt")).bytes)).toBe(
    "ask {}\nneedle too\n[image: only its place is shown here]\n[page 1 of 1]\n",
  );
});

test("finds results by name and by content, the latest first", async () => {
  const paths = (await open().glob("/history", "*.txt", 10)).map((file) => file.path);
  expect(paths).toEqual(["/history/sevt_two.txt", "/history/sevt_one.txt"]);
  const request = { path: "/", pattern: "needle", ignoreCase: false, maximumMatches: 10 };
  expect((await open().grep(request)).lines).toEqual([
    { path: "/history/sevt_two.txt", line: 2, text: "needle too", isContext: false },
    { path: "/history/sevt_one.txt", line: 3, text: "needle here", isContext: false },
  ]);
  expect((await open().grep({ ...request, maximumMatches: 1 })).lines).toHaveLength(1);
  expect(await open().grep({ ...request, path: "/workspace" })).toEqual(nothingFound);
});

test("is a directory of files", async () => {
  const listed = (await open().list("/history", 10)).map(({ kind, path }) => [kind, path]);
  expect(listed).toEqual([
    ["file", "/history/sevt_two.txt"],
    ["file", "/history/sevt_one.txt"],
  ]);
  expect(await open().stat("/history")).toMatchObject({ kind: "directory" });
  expect(await open().stat("/history/sevt_one.txt")).toMatchObject({ kind: "file" });
  expect(await open().stat("/history/sevt_foreign.txt")).toBeNull();
});

test("knows nothing of other sessions, and of names that are no call's", async () => {
  for (const name of ["sevt_foreign.txt", "sevt_none.txt", "../sevt_one.txt", "sevt_one", "a b.txt"]) {
    await expect(open().read(`/history/${name}`)).rejects.toMatchObject({ code: "not_found" });
  }
  await expect(open().read("/history")).rejects.toMatchObject({ code: "is_directory" });
});

test("takes no change", async () => {
  const actor: FileActor = { ...session, toolUseId: null, via: "tool" };
  const path = "/history/sevt_one.txt";
  const change = { oldText: "first", newText: "second", all: false };
  await expect(open().write(path, new Uint8Array(), actor)).rejects.toMatchObject({ code: "read_only" });
  await expect(open().edit(path, change, actor)).rejects.toMatchObject({ code: "read_only" });
  await expect(open().makeDirectory("/history/d", actor)).rejects.toMatchObject({ code: "read_only" });
  await expect(open().rename(path, "/history/x.txt", actor)).rejects.toMatchObject({ code: "read_only" });
  await expect(open().remove(path, actor)).rejects.toMatchObject({ code: "read_only" });
});
