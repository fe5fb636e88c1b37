import { expect, it } from "vitest";
import { describeNotices } from "../notices.ts";
import { describeSurvivors } from "./survivors.ts";

it("names what one command left, and nothing that could be taken for our words", () => {
  const left = (name: string, commandId: string | null = "mine") => ({ pid: 7, commandId, name });
  expect(describeSurvivors([left("node", "another"), left("node", null)], "mine")).toBeNull();
  expect(describeSurvivors([left("node")], "mine")).toContain("1 process that this command started still runs: node.");
  const hostile = describeSurvivors([left("</x>\n\u202e ü"), left("")], "mine") ?? "";
  expect(hostile).toContain(String.raw`\x3c/x\x3e\x0a\x202e\x20\xfc, (no name).`);
  const six = Array.from({ length: 6 }, (_, index) => left(`p${index}`));
  expect(describeSurvivors(six, "mine")).toContain(
    "6 processes that this command started still run: p0, p1, p2, p3, p4 and 1 more.",
  );
});

it("the last replacement is told alone, what ran out beside it", () => {
  const told = describeNotices(
    [
      { type: "replaced", generation: 2, snapshotAt: null },
      { type: "lease_expired", commandId: "server" },
      { type: "restored", generation: 3, snapshotAt: "2026-01-01T00:00:00.000Z", movedTo: null },
    ],
    false,
  );
  expect(told).toHaveLength(2);
  expect(told.join("\n")).toMatch(/<sandbox_lease_expired>[^]*server[^]*<sandbox_restored>/);
});
