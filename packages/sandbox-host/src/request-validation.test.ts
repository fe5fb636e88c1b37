import { describe, expect, it } from "vitest";
import { InvalidRequestError, parseHostRequest } from "./request-validation.ts";

const id = `sbx_${"A".repeat(26)}`;
const whole = { memoryBytes: 1 << 28, processes: 64, cpus: 1.5, diskBytes: 1 << 28, files: 1000 };
const create = (changes: object) => ({
  number: 3,
  method: "create",
  parameters: {
    id,
    owner: "test",
    runtime: "bubblewrap",
    resources: { ...whole },
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
    ["too much memory", create({ resources: { ...whole, memoryBytes: 2 ** 50 } }), "memoryBytes"],
    ["half a process", create({ resources: { ...whole, processes: 7.5 } }), "processes"],
    ["no processor", create({ resources: { ...whole, cpus: 0 } }), "cpus"],
    ["processors that are no number", create({ resources: { ...whole, cpus: Number.NaN } }), "cpus"],
    ["an owner with a path", create({ owner: "../x" }), "an owner"],
    ["an unknown runtime", create({ runtime: "constructor" }), "runtime"],
    ["too large a pool", { ...create({ count: 33 }), method: "pool" }, "count"],
    ["a malformed variable", create({ environment: { "A-B": "" } }), "malformed name"],
    ["a variable with NUL", create({ environment: { A: "\0" } }), "environment A"],
    ["too large an environment", create({ environment: { A: "x".repeat(70_000) } }), "65536"],
  ])("are refused: %s", (_, value, message) => {
    expect(() => parse(value)).toThrow(message);
  });
});

/** Deterministic, so that a failure is found again. */
function randomJson(next: () => number, depth: number): unknown {
  const texts = ["", id, "bubblewrap", "create", "pool", "__proto__", "\0", "../..", "sbx_", "x".repeat(300)];
  const kind = Math.floor(next() * (depth > 0 ? 8 : 6));
  if (kind === 0) return null;
  if (kind === 1) return next() < 0.5;
  if (kind === 2) return Math.floor(next() * 2 ** 40) * (next() < 0.2 ? -1 : 1);
  if (kind === 3) return next() * 1e20;
  if (kind <= 5) return texts[Math.floor(next() * texts.length)];
  if (kind === 6) return Array.from({ length: Math.floor(next() * 4) }, () => randomJson(next, depth - 1));
  const names = [
    "number",
    "method",
    "parameters",
    "id",
    "owner",
    "runtime",
    "resources",
    "environment",
    "count",
    "cpus",
  ];
  return Object.fromEntries(names.filter(() => next() < 0.5).map((name) => [name, randomJson(next, depth - 1)]));
}

describe("random messages", () => {
  it("are refused by one sentence, or whole", () => {
    let state = 7;
    const next = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 20_000; round++) {
      const mutated: Record<string, unknown> = structuredClone(create({}));
      const parameters = mutated["parameters"] as Record<string, unknown>;
      const target = round % 3 === 0 ? mutated : round % 3 === 1 ? parameters : (parameters["resources"] as object);
      const names = Object.keys(target);
      Object.assign(target, { [names[Math.floor(next() * names.length)] ?? ""]: randomJson(next, 2) });
      const message = round % 5 === 0 ? randomJson(next, 3) : mutated;
      try {
        const request = parse(JSON.stringify(message));
        if (request.method !== "create") continue;
        expect(request.parameters.id).toMatch(/^sbx_[0-9A-Z]{26}$/);
        expect(request.parameters.owner).toMatch(/^[a-z0-9_]{1,64}$/);
        for (const value of Object.values(request.parameters.resources)) expect(value).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidRequestError);
      }
    }
    const bytes = Buffer.alloc(64);
    for (let round = 0; round < 2_000; round++) {
      for (let at = 0; at < bytes.length; at++) bytes[at] = Math.floor(next() * 256);
      expect(() => parseHostRequest(bytes)).toThrow(InvalidRequestError);
    }
  });
});
