import { expect, test } from "vitest";
import { createNarrator } from "./narrator.ts";
import { displayWidth } from "./measure.ts";
import type { Terminal } from "./terminal.ts";

function capture(options: { isTTY: boolean; columns?: number }) {
  let text = "";
  return { ...options, write: (chunk: string) => (text += chunk), read: () => text };
}

function terminalOf(isTTY: boolean, columns?: number) {
  const output = capture(columns === undefined ? { isTTY } : { isTTY, columns });
  const progress = capture({ isTTY });
  const terminal: Terminal = { output, progress, environment: { NO_COLOR: "1" } };
  return { terminal, output, progress };
}

const sandbox = (status: string) => ({
  type: "x_exoloop.sandbox_status",
  status,
  generation: 1,
  milliseconds: 1,
  at: "",
});
const message = (id: string, text: string) => ({
  type: "agent.message",
  id,
  content: [{ type: "text", text }],
});
const started = (id: string) => ({ type: "event_start", event: { type: "agent.message", id } });
const delta = (id: string, text: string) => ({
  type: "event_delta",
  event_id: id,
  delta: { type: "content_delta", index: 0, content: { type: "text", text } },
});

/** What a terminal shows in the end: rewrites of the last lines applied. */
function replay(text: string): string[] {
  const lines: string[] = [""];
  // oxlint-disable-next-line no-control-regex
  for (const token of text.match(/\u001b\[\d*[AJ]|\n|\r|[^\u001b\n\r]+/g) ?? []) {
    // oxlint-disable-next-line no-control-regex
    const up = /^\u001b\[(\d+)A$/.exec(token);
    if (up !== null) lines.splice(lines.length - Number(up[1]), lines.length, "");
    else if (token === "\n") lines.push("");
    else if (token === "\r" || token.startsWith("\u001b")) lines[lines.length - 1] = "";
    else lines[lines.length - 1] += token;
  }
  return lines.filter((line) => line !== "");
}

test("a pipe gets the transcript on its own, once, without control sequences; the lane is progress", () => {
  const { terminal, output, progress } = terminalOf(false);
  const narrator = createNarrator({ terminal });
  for (const event of [started("m"), delta("m", "Hel"), delta("m", "lo"), message("m", "Hello"), sandbox("awake")]) {
    narrator.tell(event);
  }
  narrator.close();
  expect(output.read()).toBe("● Hello\n");
  expect(progress.read()).toBe("  [sandbox] awake in 1.0 ms\n");
});

test("a wide terminal shows two columns, and no line is wider than the terminal", () => {
  const { terminal, output } = terminalOf(true, 110);
  const narrator = createNarrator({ terminal });
  narrator.tell({ type: "user.message", content: [{ type: "text", text: "word ".repeat(60) }] });
  narrator.tell(sandbox("awake"));
  narrator.tell({ type: "agent.tool_use", id: "1", name: "bash", input: { command: "npm test" } });
  narrator.tell(sandbox("suspended"));
  narrator.close();
  const lines = replay(output.read());
  expect(lines.every((line) => displayWidth(line) <= 110)).toBe(true);
  expect(lines.find((line) => line.includes("bash  npm test"))).toContain("┊ suspended");
  expect(lines.some((line) => line.includes("awake in 1.0 ms"))).toBe(true);
});

test("what the lane says stands beside the state that it speaks of", () => {
  const { terminal, output } = terminalOf(true, 110);
  const narrator = createNarrator({ terminal });
  for (const status of ["awake", "suspended", "gone"]) narrator.tell(sandbox(status));
  narrator.close();
  expect(replay(output.read()).map((line) => line.trim().slice(0, 9))).toEqual(["┃ awake i", "┊ suspend", "╳ gone"]);
});

test("a narrow terminal tags the lane's lines", () => {
  const { terminal, output } = terminalOf(true, 60);
  const narrator = createNarrator({ terminal });
  narrator.tell(sandbox("replaced"));
  narrator.close();
  expect(replay(output.read())).toEqual(["  [sandbox] replaced: generation 1, in 1.0 ms"]);
});

test.each([110, 60])("a streamed message is shown once, also when it wraps (%i columns)", (columns) => {
  const { terminal, output } = terminalOf(true, columns);
  const narrator = createNarrator({ terminal });
  const text = Array.from({ length: 50 }, (_, index) => `w${index}`).join(" ");
  narrator.tell(started("m"));
  for (const part of text.match(/.{1,7}/g) ?? []) narrator.tell(delta("m", part));
  narrator.tell(message("m", text));
  narrator.close();
  expect(replay(output.read()).join(" ").match(/w\d+/g)).toEqual(text.split(" "));
});

test("a message whose beginning was missed is shown whole", () => {
  const { terminal, output } = terminalOf(false);
  const narrator = createNarrator({ terminal });
  narrator.tell(started("m"));
  narrator.tell(delta("m", "tail"));
  narrator.tell(message("m", "head and tail"));
  expect(output.read()).toBe("● head and tail\n");
});

test("previews that come after their message are left out", () => {
  const { terminal, output } = terminalOf(false);
  const narrator = createNarrator({ terminal });
  narrator.tell(message("m", "one\ntwo"));
  for (const event of [started("m"), delta("m", "one\n"), delta("m", "two")]) narrator.tell(event);
  narrator.close();
  expect(output.read()).toBe("● one\n  two\n");
});

test("a streamed message that never settles leaves no open line behind", () => {
  const { terminal, output } = terminalOf(true, 60);
  const narrator = createNarrator({ terminal });
  narrator.tell(started("m"));
  narrator.tell(delta("m", "lost"));
  narrator.tell({ type: "span.model_request_end", is_error: true });
  narrator.tell(message("n", "again"));
  narrator.close();
  expect(replay(output.read())).toEqual(["● again"]);
});
