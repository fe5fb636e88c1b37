import { describe, expect, it } from "vitest";
import { parseHostRequest } from "./request-validation.ts";

const id = `sbx_${"A".repeat(26)}`;
const create = (changes: object) => ({
  number: 3,
  method: "create",
  parameters: {
    id,
    resources: { memoryBytes: 1 << 28, processes: 64, diskBytes: 1 << 28 },
    environment: { A: "b" },
    ...changes,
  },
});
const parse = (value: unknown) =>
  parseHostRequest(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));

describe("requests to the daemon", () => {
  it("are taken when they are whole, without what does not belong", () => {
    expect(parse(create({ extra: 1 })).parameters).toEqual(create({}).parameters);
    expect(parse({ number: 1, method: "resume", parameters: { id } })).toEqual({
      number: 1,
      method: "resume",
      parameters: { id },
    });
  });
  it.each([
    ["not JSON", "{", "not JSON"],
    ["no object", [], "not an object"],
    ["an unknown method", { number: 1, method: "constructor", parameters: {} }, "no such method"],
    ["no parameters", { number: 1, method: "list" }, "parameters"],
    [
      "a path for an id",
      { number: 1, method: "destroy", parameters: { id: "sbx_/../../../../../../../../etc" } },
      "a sandbox id",
    ],
    ["an id with a line end", { number: 1, method: "destroy", parameters: { id: `${id}\n` } }, "a sandbox id"],
    ["no resources", create({ resources: null }), "resources"],
    [
      "too much memory",
      create({ resources: { memoryBytes: 2 ** 50, processes: 64, diskBytes: 1 << 28 } }),
      "memoryBytes",
    ],
    [
      "half a process",
      create({ resources: { memoryBytes: 1 << 28, processes: 7.5, diskBytes: 1 << 28 } }),
      "processes",
    ],
    ["a malformed variable", create({ environment: { "A-B": "" } }), "malformed name"],
    ["a variable with NUL", create({ environment: { A: "\0" } }), "environment A"],
    ["too large an environment", create({ environment: { A: "x".repeat(70_000) } }), "65536"],
  ])("are refused: %s", (_, value, message) => {
    expect(() => parse(value)).toThrow(message);
  });
});
