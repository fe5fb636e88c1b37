/** Bodies that are refused. @module */
import { app, key, post, testRefusals } from "./testing-refusals.ts";

const deep = `{"name":"a","model":"m","tools":${"[".repeat(100)}${"]".repeat(100)}}`;

testRefusals([
  ["malformed JSON", () => post("/v1/agents", "{"), 400, "malformed_json", /not valid JSON/],
  ["no body", () => post("/v1/agents", ""), 400, "malformed_json", /no body/],
  [
    "bytes that are not UTF-8",
    () => app.request("/v1/agents", { method: "POST", headers: key, body: new Uint8Array([0x22, 0xff, 0x22]) }),
    400,
    "malformed_json",
    /UTF-8/,
  ],
  [
    "a body that breaks off",
    () => {
      const body = new ReadableStream({ start: (controller) => controller.error(new Error("aborted")) });
      const init: RequestInit & { duplex: "half" } = { method: "POST", headers: key, body, duplex: "half" };
      return app.request("/v1/agents", init);
    },
    400,
    "malformed_json",
    /ended before it was complete/,
  ],
  [
    "a form",
    () => post("/v1/agents", "a=b", { "content-type": "application/x-www-form-urlencoded" }),
    400,
    "invalid_request",
    /content type/,
  ],
  ["an array", () => post("/v1/agents", []), 400, "invalid_request", /the request: expected object/],
  ["a missing field", () => post("/v1/agents", { model: "m" }), 400, "invalid_request", /^name: .*missing/],
  [
    "an unknown field",
    () => post("/v1/agents", { name: "a", model: "m", colour: "red" }),
    400,
    "invalid_request",
    /^colour: there is no such field/,
  ],
  ["a wrong type", () => post("/v1/agents", { name: 1, model: "m" }), 400, "invalid_request", /^name: expected string/],
  [
    "a wrong union",
    () => post("/v1/agents", { name: "a", model: 7 }),
    400,
    "invalid_request",
    /^model: expected string or object/,
  ],
  [
    "deep in a union",
    () => post("/v1/agents", { name: "a", model: { id: "m", effort: "huge" } }),
    400,
    "invalid_request",
    /^model\.effort: /,
  ],
  [
    "an unknown field in a tool",
    () =>
      post("/v1/agents", {
        name: "a",
        model: "m",
        tools: [{ type: "agent_toolset_20260401", configs: [{ name: "bash", colour: 1 }] }],
      }),
    400,
    "invalid_request",
    /tools\[0\]\.configs\[0\]\.colour: there is no such field/,
  ],
  [
    "an unknown tool",
    () => post("/v1/agents", { name: "a", model: "m", tools: [{ type: "magic" }] }),
    400,
    "invalid_request",
    /tools\[0\]\.type: /,
  ],
  [
    "too much metadata",
    () =>
      post("/v1/agents", {
        name: "a",
        model: "m",
        metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, "v"])),
      }),
    400,
    "invalid_request",
    /metadata: at most 16 pairs/,
  ],
  [
    "a long metadata key",
    () => post("/v1/agents", { name: "a", model: "m", metadata: { ["k".repeat(65)]: "v" } }),
    400,
    "invalid_request",
    /metadata/,
  ],
  ["a NUL character", () => post("/v1/agents", { name: "a\0", model: "m" }), 400, "invalid_request", /^name: NUL/],
  [
    "an unpaired surrogate",
    () => post("/v1/agents", '{"name":"\\ud800","model":"m"}'),
    400,
    "invalid_request",
    /surrogates/,
  ],
  [
    "a prototype",
    () => post("/v1/agents", '{"name":"a","model":"m","metadata":{"__proto__":"x"}}'),
    400,
    "invalid_request",
    /__proto__/,
  ],
  ["deep nesting", () => post("/v1/agents", deep), 400, "invalid_request", /nested more than 64/],
  [
    "very deep nesting",
    () => post("/v1/agents", `${"[".repeat(200_000)}${"]".repeat(200_000)}`),
    400,
    "invalid_request",
    /nested more than 64/,
  ],
  [
    "a large body",
    () => post("/v1/agents", { name: "a".repeat(1024 * 1024), model: "m" }),
    413,
    "body_too_large",
    /1 MiB/,
  ],
  [
    "many issues",
    () => post("/v1/agents", { a: 1, b: 2, c: 3, d: 4, name: "a", model: "m" }),
    400,
    "invalid_request",
    /And 1 more\.$/,
  ],
]);
