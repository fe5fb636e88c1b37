import { expect, it } from "vitest";
import { crashTable } from "./crash-table.ts";
import { readCrashDocument } from "./crash-table-document.ts";

it("is what ARCHITECTURE.md shows", () => {
  const { found, expected } = readCrashDocument();
  expect(found, "node packages/server/src/loop/crash-table-document.ts --write").toBe(expected);
});

it("names for every row who stops or kills a driver there", () => {
  expect(crashTable.filter((row) => row.proof.length === 0)).toEqual([]);
  expect(new Set(crashTable.map((row) => row.id)).size).toBe(crashTable.length);
});
