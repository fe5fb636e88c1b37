/** Keys, paths, queries and cursors that are refused. @module */
import { app, cursorOf, get, key, testRefusals } from "./testing-refusals.ts";

const place = {
  direction: "next",
  order: "desc",
  position: { createdAt: "2030-01-01T00:00:00.000000Z", id: "agent_1" },
};

testRefusals([
  ["no key", () => app.request("/v1/agents"), 401, "unauthenticated", /carries no API key/],
  [
    "a wrong key",
    () => get("/v1/agents", { authorization: "Bearer wrong" }),
    401,
    "unauthenticated",
    /unknown or has been revoked/,
  ],
  ["another scheme", () => get("/v1/agents", { authorization: "Basic good" }), 401, "unauthenticated", /no API key/],
  ["an unknown path", () => get("/v1/nothing"), 404, "not_found", /There is no GET \/v1\/nothing/],
  ["an unknown method", () => app.request("/v1/agents", { method: "PUT", headers: key }), 404, "not_found", /no PUT/],
  [
    "an unknown query key",
    () => get("/v1/agents?colour=red"),
    400,
    "invalid_request",
    /^colour: there is no such field/,
  ],
  ["limit 0", () => get("/v1/agents?limit=0"), 400, "invalid_request", /^limit: must be at least 1\.$/],
  ["a limit that is no number", () => get("/v1/agents?limit=ten"), 400, "invalid_request", /^limit: /],
  ["a limit given twice", () => get("/v1/agents?limit=1&limit=2"), 400, "invalid_request", /^limit: .*2 times/],
  [
    "a wrong time",
    () => get("/v1/agents?created_at[gte]=yesterday"),
    400,
    "invalid_request",
    /created_at\[gte\]: must be an instant/,
  ],
  [
    "a wrong status",
    () => get("/v1/sessions?statuses[]=asleep"),
    400,
    "invalid_request",
    /statuses\[\]\[0\]: must be one of "/,
  ],
  ["a cursor of noise", () => get("/v1/agents?page=noise"), 400, "invalid_cursor", /page: not a cursor/],
  ["a cursor with padding", () => get("/v1/agents?page=e30%3D"), 400, "invalid_cursor", /not a cursor/],
  [
    "another list's cursor",
    () => get(`/v1/agents?page=${cursorOf("sessions", "org_1", place)}`),
    400,
    "invalid_cursor",
    /not a cursor/,
  ],
  [
    "another organization's cursor",
    () => get(`/v1/agents?page=${cursorOf("agents", "org_2", place)}`),
    400,
    "invalid_cursor",
    /not a cursor/,
  ],
  [
    "a cursor with SQL",
    () =>
      get(`/v1/agents?page=${cursorOf("agents", "org_1", { ...place, position: { createdAt: "now()", id: "x" } })}`),
    400,
    "invalid_cursor",
    /not a cursor/,
  ],
  [
    "a cursor of a year that Postgres does not know",
    () =>
      get(
        `/v1/agents?page=${cursorOf("agents", "org_1", { ...place, position: { createdAt: "0000-01-01T00:00:00.000000Z", id: "x" } })}`,
      ),
    400,
    "invalid_cursor",
    /not a cursor/,
  ],
  [
    "a cursor with NUL",
    () =>
      get(`/v1/agents?page=${cursorOf("agents", "org_1", { ...place, position: { ...place.position, id: "x\0" } })}`),
    400,
    "invalid_cursor",
    /not a cursor/,
  ],
  [
    "a cursor of an impossible day",
    () =>
      get(
        `/v1/agents?page=${cursorOf("agents", "org_1", { ...place, position: { createdAt: "2030-02-31T00:00:00.000000Z", id: "x" } })}`,
      ),
    400,
    "invalid_cursor",
    /not a cursor/,
  ],
  [
    "a cursor of another order",
    () => get(`/v1/sessions?order=asc&page=${cursorOf("sessions", "org_1", place)}`),
    400,
    "invalid_cursor",
    /order desc/,
  ],
  ["an id with spaces", () => get("/v1/agents/a%20b"), 404, "not_found", /Nothing has the identifier/],
  ["an id with NUL", () => get("/v1/agents/a%00b"), 404, "not_found", /Nothing has the identifier/],
  ["an unknown model", () => get("/v1/models/none"), 404, "not_found", /No model/],
]);
