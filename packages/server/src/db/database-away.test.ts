import { expect, it } from "vitest";
import { isDatabaseAway } from "./database-away.ts";

const coded = (code: string) => Object.assign(new Error("x"), { code });

it.each(["57P01", "57P03", "08006", "ECONNREFUSED", "ECONNRESET"])("code %s: the database is away", (code) => {
  expect(isDatabaseAway(coded(code))).toBe(true);
});

it.each([
  "Connection terminated unexpectedly",
  "Connection terminated due to connection timeout",
  "Client has encountered a connection error and is not queryable",
  "timeout exceeded when trying to connect",
])("%s: the database is away", (message) => {
  expect(isDatabaseAway(new Error(message))).toBe(true);
});

it("anything else is no sign of that", () => {
  expect([coded("23505"), new Error("x"), "Connection terminated", null].map(isDatabaseAway)).toEqual(
    Array(4).fill(false),
  );
});
