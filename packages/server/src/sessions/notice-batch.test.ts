import { expect, test } from "vitest";
import { addToBatch, packBatch, unpackPayload } from "./notice-batch.ts";
import type { Notice } from "./notices.ts";

const appended = (sessionId: string, seq: number): Notice => ({ type: "appended", sessionId, seq });
const delta = (sessionId: string, text: string): Notice => ({
  type: "frame",
  sessionId,
  frame: {
    type: "event_delta",
    event_id: "sevt_1",
    delta: { type: "content_delta", index: 0, content: { type: "text", text } },
  },
});
function textOf(notices: readonly Notice[]): string {
  return notices
    .map((notice) =>
      notice.type === "frame" && notice.frame.type === "event_delta" ? notice.frame.delta.content.text : "",
    )
    .join("");
}
let counter = 0;
const mark = () => String((counter += 1));

test("appended notices of a session become the highest, unless something of it lies between", () => {
  const batch: Notice[] = [];
  for (const notice of [
    appended("a", 1),
    appended("b", 7),
    appended("a", 3),
    appended("a", 2),
    delta("a", "x"),
    appended("a", 4),
  ]) {
    addToBatch(batch, notice);
  }
  expect(batch).toEqual([appended("a", 3), appended("b", 7), delta("a", "x"), appended("a", 4)]);
});

test("what is packed is unpacked, in order, and equal batches have different payloads", () => {
  const notices = [delta("a", "ha"), delta("a", "ha"), appended("a", 9), { type: "deleted", sessionId: "b" } as const];
  const first = packBatch(notices, 7999, mark).payloads;
  const second = packBatch(notices, 7999, mark).payloads;
  expect(first.flatMap(unpackPayload)).toEqual(notices);
  expect(first).toHaveLength(1);
  expect(second[0]).not.toBe(first[0]);
});

test("no payload exceeds the limit; a long delta is split between characters and loses none", () => {
  const text = "é🙂\u0001".repeat(9000);
  const { payloads, refused } = packBatch([delta("a", text), appended("a", 1)], 7999, mark);
  expect(refused).toEqual([]);
  for (const payload of payloads) expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(7999);
  const notices = payloads.flatMap(unpackPayload);
  expect(textOf(notices)).toBe(text);
  expect(notices.at(-1)).toEqual(appended("a", 1));
  // A lone surrogate would have been written as an escape.
  expect(payloads.join("")).not.toContain("\\ud");
});

test("a notice that cannot be split is refused, the others are sent", () => {
  const huge = appended("s".repeat(9000), 1);
  const { payloads, refused } = packBatch([huge, appended("a", 1)], 7999, mark);
  expect(refused).toEqual([huge]);
  expect(payloads.flatMap(unpackPayload)).toEqual([appended("a", 1)]);
});

test.each([
  "",
  "no json",
  "{}",
  "[1,2]",
  '["m",{"type":"appended","sessionId":1,"seq":1},{"type":"x","sessionId":"a"}]',
])("a payload that is not ours holds no notices: %s", (payload) => expect(unpackPayload(payload)).toEqual([]));
