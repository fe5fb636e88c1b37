import { expect, test } from "vitest";
import type { NoticeBoard } from "../sessions/notices.ts";
import { createWaitingRoom } from "./waiting-room.ts";

/** A board that rings when the test says so. */
function board() {
  const listeners = new Set<() => void>();
  const notices: NoticeBoard = {
    publish: () => undefined,
    subscribe(_environmentId, listener) {
      const own = () => listener({ type: "appended", sessionId: "env_1", seq: 0 });
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
  return { notices, ring: () => listeners.forEach((listener) => listener()), listening: () => listeners.size };
}

const long = 60_000;
const never = new AbortController().signal;

test("looks again with each notice, also with one that comes while it looks", async () => {
  const { notices, ring, listening } = board();
  let looks = 0;
  const found = await createWaitingRoom(notices).until(
    "env_1",
    async () => {
      looks += 1;
      if (looks < 3) ring();
      await Promise.resolve();
      return looks === 3 ? "work" : null;
    },
    long,
    never,
  );
  expect([found, looks, listening()]).toEqual(["work", 3, 0]);
});

test("is over at the end of its time, after a last look, and when the caller has gone", async () => {
  const { notices, listening } = board();
  let looks = 0;
  const look = () => Promise.resolve((looks += 1) > 1 ? "late" : null);
  expect(await createWaitingRoom(notices).until("env_1", look, 10, never)).toBe("late");
  const gone = new AbortController();
  const waiting = createWaitingRoom(notices).until("env_1", () => Promise.resolve(null), long, gone.signal);
  gone.abort();
  expect([await waiting, listening()]).toEqual([null, 0]);
});

test("without a place left, or without time, one look is all", async () => {
  const { notices, ring } = board();
  const room = createWaitingRoom(notices, 1);
  let work: string | null = null;
  const look = () => Promise.resolve(work);
  const first = room.until("env_1", look, long, never);
  expect(await room.until("env_1", look, long, never)).toBeNull();
  expect(await room.until("env_1", look, 0, never)).toBeNull();
  work = "work";
  ring();
  expect(await first).toBe("work");
  expect(await room.until("env_1", look, long, never)).toBe("work");
});
