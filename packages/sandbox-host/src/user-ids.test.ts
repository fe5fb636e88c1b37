import { expect, it } from "vitest";
import { findUserIds } from "./user-ids.ts";

it("takes user ids that nothing else has, as far as this machine or container has them", () => {
  expect(findUserIds("         0          0 4294967295\n", 0)).toEqual({ first: 1_879_100_000, count: 65_536 });
  expect(findUserIds("0 100000 65536\n", 0)).toEqual({ first: 61_534, count: 4_000 });
  expect(findUserIds("0 1000 1\n1 100000 65535\n", 0)).toEqual({ first: 61_534, count: 4_000 });
  expect(findUserIds("0 0 4294967295\n", 1000)).toBeNull();
  expect(() => findUserIds("0 1000 1\n", 0)).toThrow("never runs as root");
});
