import { expect, test } from "vitest";
import { wantsSessions } from "./completion.ts";

test("sessions are asked for only where one can stand", () => {
  expect(wantsSessions(["complete", "--", "sessions", "attach", ""])).toBe(true);
  expect(wantsSessions(["complete", "--", "sessions", "stop", "sesn_"])).toBe(true);
  for (const other of [
    ["complete", "--", "sessions", ""],
    ["complete", "--", "sessions", "list", ""],
    ["sessions", "attach"],
  ]) {
    expect(wantsSessions(other)).toBe(false);
  }
});
