/** Deployments that are refused. @module */
import { cursorOf, get, post, testRefusals } from "./testing-refusals.ts";

const say = { type: "user.message", content: [{ type: "text", text: "hi" }] };
const body = { name: "n", agent: "agent_1", environment_id: "env_1", initial_events: [say] };
const create = (more: object) => () => post("/v1/deployments", { ...body, ...more });
const update = (sent: object) => () => post("/v1/deployments/depl_1", sent);
const cron = (expression: unknown, timezone: unknown = "UTC") => ({ schedule: { type: "cron", expression, timezone } });
const invalid = [400, "invalid_request"] as const;
const place = { direction: "next", order: "desc", position: { createdAt: "2030-01-01T00:00:00.000000Z", id: "x" } };

testRefusals([
  ["no name", create({ name: "" }), ...invalid, /^name: /],
  ["no agent", () => post("/v1/deployments", { ...body, agent: undefined }), ...invalid, /^agent: /],
  ["an agent of version 0", create({ agent: { type: "agent", id: "a", version: 0 } }), ...invalid, /^agent\.version: /],
  ["no events", create({ initial_events: [] }), ...invalid, /^initial_events: /],
  ["51 events", create({ initial_events: Array.from({ length: 51 }, () => say) }), ...invalid, /^initial_events: /],
  [
    "an event that begins nothing",
    create({ initial_events: [say, { type: "user.interrupt" }] }),
    ...invalid,
    /^initial_events\[1\]: a session cannot begin with user\.interrupt/,
  ],
  [
    "content that needs fetching",
    create({
      initial_events: [
        {
          type: "user.message",
          content: [{ type: "image", source: { type: "url", url: "https://example.com/a.png" } }],
        },
      ],
    }),
    400,
    "unsupported",
    /^initial_events\[0\]: /,
  ],
  ["resources", create({ resources: [{ type: "file", file_id: "file_1" }] }), 400, "unsupported", /^resources\[0\]: /],
  ["vaults", create({ vault_ids: ["vlt_1"] }), 400, "unsupported", /^vault_ids: /],
  [
    "a budget",
    create({ budget: { type: "limit", max_list_cost: { amount: "100", currency: "USD" } } }),
    400,
    "unsupported",
    /^budget: /,
  ],
  ["seconds", create(cron("0 0 0 * * *")), ...invalid, /^schedule\.expression: it needs five fields and has 6/],
  ["a shortcut", create(cron("@daily")), ...invalid, /^schedule\.expression: it needs five fields and has 1/],
  ["minute 60", create(cron("60 * * * *")), ...invalid, /^schedule\.expression: minute: 60 is not within 0 to 59/],
  ["a last day", create(cron("0 0 L * *")), ...invalid, /^schedule\.expression: day of month: "L"/],
  ["30 February", create(cron("0 0 30 2 *")), ...invalid, /^schedule\.expression: no such date ever comes/],
  ["another zone", create(cron("0 0 * * *", "Mars/Olympus")), ...invalid, /^schedule\.timezone: .*"Mars\/Olympus"/],
  ["no zone", create({ schedule: { type: "cron", expression: "0 0 * * *" } }), ...invalid, /^schedule\.timezone: /],
  ["another kind of schedule", create({ schedule: { type: "interval" } }), ...invalid, /^schedule\.type: /],
  ["another policy", create({ x_exoloop: { missed_runs: "all" } }), ...invalid, /^x_exoloop\.missed_runs: /],
  ["another overlap", create({ x_exoloop: { overlap: "cancel" } }), ...invalid, /^x_exoloop\.overlap: /],
  ["a policy of nobody", create({ x_exoloop: { colour: "red" } }), ...invalid, /^x_exoloop\.colour: there is no such/],
  ["a status", create({ status: "paused" }), ...invalid, /^status: there is no such field/],
  [
    "a change of the schedule",
    update(cron("* * * *")),
    ...invalid,
    /^schedule\.expression: it needs five fields and has 4/,
  ],
  ["a change to no events", update({ initial_events: [] }), ...invalid, /^initial_events: /],
  ["a change to no agent", update({ agent: null }), ...invalid, /^agent: /],
  [
    "a status with archived ones",
    () => get("/v1/deployments?status=active&include_archived=true"),
    ...invalid,
    /^status/,
  ],
  ["an unknown status", () => get("/v1/deployments?status=archived"), ...invalid, /^status: /],
  ["an unknown trigger", () => get("/v1/deployment_runs?trigger_type=webhook"), ...invalid, /^trigger_type: /],
  ["neither true nor false", () => get("/v1/deployment_runs?has_error=maybe"), ...invalid, /^has_error: /],
  [
    "another list's cursor",
    () => get(`/v1/deployment_runs?page=${cursorOf("deployments", "org_1", place)}`),
    400,
    "invalid_cursor",
    /not a cursor/,
  ],
]);
