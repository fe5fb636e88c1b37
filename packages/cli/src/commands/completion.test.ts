import { expect, test } from "vitest";
import { wantedKind } from "./completion.ts";

test("identifiers are asked for only where one can stand", () => {
  expect(wantedKind(["complete", "--", "sessions", "attach", ""])).toBe("sessions");
  expect(wantedKind(["complete", "--", "sessions", "stop", "sesn_"])).toBe("sessions");
  expect(wantedKind(["complete", "--", "deployments", "run", "depl_"])).toBe("deployments");
  expect(wantedKind(["complete", "--", "webhooks", "delete", ""])).toBe("webhooks");
  expect(wantedKind(["complete", "--", "sandbox", "logs", ""])).toBe("sandbox");
  expect(wantedKind(["complete", "--", "files", "cat", "/memory/o"])).toBe("files");
  for (const other of [
    ["complete", "--", "files", "push", ""],
    ["complete", "--", "sandbox", "list", ""],
    ["complete", "--", "sessions", ""],
    ["complete", "--", "sessions", "list", ""],
    ["complete", "--", "deployments", "create", ""],
    ["complete", "--", "deployments", "attach", ""],
    ["complete", "--", "webhooks", "create", ""],
    ["sessions", "attach"],
  ]) {
    expect(wantedKind(other)).toBe(null);
  }
});
