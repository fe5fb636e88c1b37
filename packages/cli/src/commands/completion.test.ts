import { expect, test } from "vitest";
import { wantedCommand } from "./completion.ts";

const commands = new Set([
  "sessions",
  "sessions attach",
  "files",
  "files mv",
  "environments keys",
  "environments keys list",
]);

test("what can stand for an argument is asked for only where one can stand", () => {
  const wanted = (...typed: string[]) => wantedCommand(commands, ["complete", "--", ...typed]);
  expect(wanted("sessions", "attach", "")).toBe("sessions attach");
  expect(wanted("files", "mv", "/memory/org/a.md", "/memory/o")).toBe("files mv");
  expect(wanted("environments", "keys", "list", "m")).toBe("environments keys list");
  expect(wanted("sessions", "attach")).toBe("sessions");
  expect(wanted("files")).toBe(null);
  expect(wanted("nonsense", "list", "")).toBe(null);
  expect(wantedCommand(commands, ["sessions", "attach", ""])).toBe(null);
});
