import { expect, test } from "vitest";
import { createWorkerCalls } from "./worker-calls.ts";

const idle = (...ids: string[]) => ({
  type: "session.status_idle",
  stop_reason: { type: "requires_action", event_ids: ids },
});

test("a session that rests on calls that may run waits for a worker, and for nobody else", () => {
  const calls = createWorkerCalls();
  calls.restsOn({ type: "agent.tool_use", id: "a", evaluated_permission: "allow" });
  calls.restsOn({ type: "agent.tool_use", id: "b", evaluated_permission: "ask" });
  calls.restsOn({ type: "agent.custom_tool_use", id: "c" });
  expect(calls.restsOn(idle("a"))).toBe(true);
  expect([idle("b"), idle("a", "b"), idle("c"), idle()].map((event) => calls.restsOn(event))).toEqual([
    false,
    false,
    false,
    false,
  ]);
  expect(calls.restsOn({ type: "session.status_idle", stop_reason: { type: "end_turn" } })).toBe(false);
  calls.restsOn({ type: "user.tool_confirmation", tool_use_id: "b", result: "allow" });
  expect(calls.restsOn(idle("a", "b"))).toBe(true);
});
