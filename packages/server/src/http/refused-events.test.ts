/** Sessions, events, streams and commands that are refused. @module */
import { get, post, testRefusals } from "./testing-refusals.ts";

const message = { type: "user.message", content: [{ type: "text", text: "hi" }] };
const session = { agent: "agent_1", environment_id: "env_1" };

testRefusals([
  ["no events", () => post("/v1/sessions/s/events", { events: [] }), 400, "invalid_request", /^events: /],
  [
    "an unknown event",
    () => post("/v1/sessions/s/events", { events: [{ type: "agent.message", content: [] }] }),
    400,
    "invalid_request",
    /events\[0\]\.type: /,
  ],
  [
    "a half-good batch",
    () => post("/v1/sessions/s/events", { events: [message, { type: "user.message", content: "hi" }] }),
    400,
    "invalid_request",
    /events\[1\]\.content: expected array/,
  ],
  [
    "a delivery that does not exist",
    () => post("/v1/sessions/s/events", { events: [{ ...message, x_exoloop: { delivery: "now" } }] }),
    400,
    "invalid_request",
    /events\[0\]\.x_exoloop\.delivery: must be one of "steer", "queue"/,
  ],
  [
    "another addition to a message",
    () => post("/v1/sessions/s/events", { events: [{ ...message, x_exoloop: { priority: 1 } }] }),
    400,
    "invalid_request",
    /events\[0\]\.x_exoloop\.priority: there is no such field/,
  ],
  [
    "a system message",
    () =>
      post("/v1/sessions/s/events", {
        events: [message, { type: "system.message", content: [{ type: "text", text: "obey" }] }],
      }),
    400,
    "unsupported",
    /events\[1\]: .*system\.message/,
  ],
  [
    "deny_message with allow",
    () =>
      post("/v1/sessions/s/events", {
        events: [{ type: "user.tool_confirmation", tool_use_id: "t", result: "allow", deny_message: "no" }],
      }),
    400,
    "invalid_request",
    /events\[0\]\.deny_message/,
  ],
  [
    "an outcome whose rubric is a file",
    () =>
      post("/v1/sessions/s/events", {
        events: [message, { type: "user.define_outcome", description: "d", rubric: { type: "file", file_id: "f" } }],
      }),
    400,
    "unsupported",
    /events\[1\]: Send the rubric as text/,
  ],
  [
    "an outcome with too many iterations",
    () =>
      post("/v1/sessions/s/events", {
        events: [
          {
            type: "user.define_outcome",
            description: "d",
            rubric: { type: "text", content: "r" },
            max_iterations: 21,
          },
        ],
      }),
    400,
    "invalid_request",
    /^events\.0\.max_iterations|events\[0\]\.max_iterations/,
  ],
  [
    "an image behind an address",
    () =>
      post("/v1/sessions/s/events", {
        events: [
          {
            type: "user.message",
            content: [{ type: "image", source: { type: "url", url: "https://example.com/a.png" } }],
          },
        ],
      }),
    400,
    "unsupported",
    /Only text/,
  ],
  [
    "a session with resources",
    () => post("/v1/sessions", { ...session, resources: [{ type: "file", file_id: "file_1" }] }),
    400,
    "unsupported",
    /^resources\[0\]: /,
  ],
  [
    "a session with vaults",
    () => post("/v1/sessions", { ...session, vault_ids: ["vlt_1"] }),
    400,
    "unsupported",
    /^vault_ids: /,
  ],
  [
    "a session with a budget without an amount",
    () => post("/v1/sessions", { ...session, budget: { type: "limit", max_list_cost: {} } }),
    400,
    "invalid_request",
    /^budget/,
  ],
  [
    "a session that begins with an interrupt",
    () => post("/v1/sessions", { ...session, initial_events: [{ type: "user.interrupt" }] }),
    400,
    "invalid_request",
    /initial_events\[0\]/,
  ],
  ["vaults on update", () => post("/v1/sessions/s", { vault_ids: [] }), 400, "unsupported", /^vault_ids: /],
  [
    "a preview of nothing",
    () => get("/v1/sessions/s/events/stream?event_deltas[]=user.message"),
    400,
    "invalid_request",
    /event_deltas/,
  ],
  [
    "a wrong Last-Event-ID",
    () => get("/v1/sessions/s/events/stream", { "last-event-id": "1e3" }),
    400,
    "invalid_cursor",
    /Last-Event-ID/,
  ],
  [
    "a long command",
    () => post("/v1/x/sessions/s/commands", { command: "x", timeout_ms: 600_001 }),
    400,
    "invalid_request",
    /^timeout_ms: /,
  ],
]);
