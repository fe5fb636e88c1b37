import { expect, test } from "vitest";
import type { StreamedEvent } from "../render/transcript.ts";
import { initialWatch, watchEvent } from "./watch.ts";

const call = (id: string, name: string, input: Record<string, unknown>): StreamedEvent => ({
  type: "agent.tool_use",
  id,
  name,
  input,
});
const result = (id: string, isError = false): StreamedEvent => ({
  type: "agent.tool_result",
  tool_use_id: id,
  is_error: isError,
});
const watchAll = (events: readonly StreamedEvent[]) => events.reduce(watchEvent, initialWatch);

const edit = call("e", "edit", { file_path: "/workspace/a.js" });
const bash = (id: string) => call(id, "bash", { command: "npm test" });

test("strikes at the first command after an edit has succeeded, and once", () => {
  expect(watchAll([bash("b0"), result("b0"), edit]).struckCall).toBeNull();
  expect(watchAll([bash("b0"), result("b0"), edit, bash("b1")]).struckCall).toBeNull();
  expect(watchAll([edit, result("e"), bash("b1")]).struckCall).toBe("b1");
  expect(watchAll([edit, result("e"), bash("b1"), result("b1"), bash("b2")]).struckCall).toBe("b1");
});

test("an edit that failed, and one outside the workspace, do not count", () => {
  expect(watchAll([edit, result("e", true), bash("b1")]).struckCall).toBeNull();
  const memory = call("m", "write", { file_path: "/memory/org/note.md" });
  expect(watchAll([memory, result("m"), bash("b1")]).struckCall).toBeNull();
});

test("counts turns, steps, and remembers why it stopped", () => {
  const running = { type: "session.status_running" };
  const idle = { type: "session.status_idle", stop_reason: { type: "end_turn" } };
  const model = { type: "span.model_request_start" };
  const watched = watchAll([running, model, edit, result("e"), model, idle, running, model, idle]);
  expect(watched).toMatchObject({ turns: 2, steps: 4, stopped: "end_turn" });
  expect(watchAll([idle, running]).stopped).toBeNull();
});

test("a rescheduled session that runs again is still in its turn", () => {
  const running = { type: "session.status_running" };
  expect(watchAll([running, { type: "session.status_rescheduled" }, running]).turns).toBe(1);
});

test("finds notes written by file tools and by commands, and nothing that could leave its quotes", () => {
  const notes = watchAll([
    call("1", "write", { file_path: "/memory/org/fix.md" }),
    result("1"),
    call("0", "write", { file_path: "/memory/org/refused.md" }),
    result("0", true),
    call("3", "read", { file_path: "/memory/org/others.md" }),
    result("3"),
    call("2", "bash", { command: 'echo x >> "$MEMORY"/org/log.md; rm /memory/org/$(id)' }),
    result("2"),
  ]).notes;
  expect(notes).toEqual(["/memory/org/fix.md", "/memory/org/log.md"]);
});
