import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { type ClosableNoticeBoard, createNoticeBoard } from "./notice-board.ts";
import type { Notice } from "./notices.ts";

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
let postgres: TestDatabase;
const boards: ClosableNoticeBoard[] = [];
beforeAll(async () => {
  postgres = await createTestDatabase();
});
afterAll(() => postgres.drop());
afterEach(async () => {
  for (const board of boards.splice(0)) await board.close();
});

async function open(): Promise<ClosableNoticeBoard> {
  const board = await createNoticeBoard({ connectionString: postgres.url, log });
  boards.push(board);
  return board;
}
function record(board: ClosableNoticeBoard, sessionId: string): Notice[] {
  const seen: Notice[] = [];
  board.subscribe(sessionId, (notice) => seen.push(notice));
  return seen;
}
async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !condition(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (Date.now() > deadline) throw new Error("the condition did not come true in 10 s");
  }
}
const delta = (text: string): Notice => ({
  type: "frame",
  sessionId: "a",
  frame: {
    type: "event_delta",
    event_id: "sevt_1",
    delta: { type: "content_delta", index: 0, content: { type: "text", text } },
  },
});
const terminate = () =>
  sql<{ ended: boolean }>`select pg_terminate_backend(pid) as ended from pg_stat_activity
    where application_name = 'exoloop notices' and datname = current_database()`.execute(postgres.database);

test("a notice reaches the subscribers of both processes once, in order, and nobody else", async () => {
  const [here, there] = [await open(), await open()];
  const seen = [record(here, "a"), record(there, "a")];
  const others = record(there, "b");
  // Equal texts: Postgres would drop a repeated payload.
  const sent: Notice[] = [
    ...Array.from({ length: 100 }, () => delta("same")),
    { type: "appended", sessionId: "a", seq: 5 },
  ];
  for (const notice of sent) here.publish(notice);
  await until(() => seen.every((notices) => notices.length >= sent.length));
  for (const notices of seen) expect(notices).toEqual(sent);
  expect(others).toEqual([]);
});

test("a long delta arrives in pieces, whole", async () => {
  const board = await open();
  const seen = record(board, "a");
  const text = "ü🙂".repeat(20_000);
  board.publish(delta(text));
  board.publish({ type: "deleted", sessionId: "a" });
  await until(() => seen.at(-1)?.type === "deleted");
  const pieces = seen.map((notice) =>
    notice.type === "frame" && notice.frame.type === "event_delta" ? notice.frame.delta.content.text : "",
  );
  expect(pieces.join("")).toBe(text);
  expect(pieces.length).toBeGreaterThan(10);
});

test("an ended subscription hears nothing more; a listener that throws does not stop the others", async () => {
  const board = await open();
  const first = record(board, "a");
  const seen: Notice[] = [];
  board.subscribe("a", () => {
    throw new Error("broken listener");
  });
  const end = board.subscribe("a", (notice) => {
    seen.push(notice);
    end();
  });
  const last = record(board, "a");
  board.publish(delta("1"));
  await until(() => last.length === 1);
  board.publish(delta("2"));
  await until(() => last.length === 2);
  expect(first).toHaveLength(2);
  expect(seen).toHaveLength(1);
});

test("after the connection was terminated every subscriber is told to look, and notices flow again", async () => {
  const [here, there] = [await open(), await open()];
  const seenA = record(there, "a");
  const seenB = record(there, "b");
  const look = (sessionId: string): Notice => ({ type: "appended", sessionId, seq: 0 });
  for (let round = 1; round <= 3; round += 1) {
    const { rows } = await terminate();
    expect(rows.filter((row) => row.ended)).toHaveLength(2);
    // Published while the connection is down: kept, and sent when it is back.
    here.publish({ type: "appended", sessionId: "a", seq: round });
    await until(() => seenA.filter((notice) => notice.type === "appended" && notice.seq === 0).length === round);
    here.publish({ type: "appended", sessionId: "a", seq: 100 + round });
    await until(() => seenA.some((notice) => notice.type === "appended" && notice.seq === 100 + round));
  }
  expect(seenB).toEqual([look("b"), look("b"), look("b")]);
});
