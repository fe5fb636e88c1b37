import { once } from "node:events";
import { emitKeypressEvents } from "node:readline";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { type Key, pressKey } from "./prompt.ts";

function type(keys: readonly (readonly [string | undefined, Key])[]) {
  const happened: string[] = [];
  const listener = {
    onLine: (line: string) => void happened.push(`line ${line}`),
    onEscape: () => void happened.push("escape"),
    onInterrupt: () => void happened.push("interrupt"),
    onChange: () => undefined,
  };
  const line = keys.reduce((current, [text, key]) => pressKey(current, text, key, listener), "");
  return { line, happened };
}

const letters = (text: string) => Array.from(text, (letter) => [letter, { name: letter }] as const);

test("letters, backspace over a whole character, enter", () => {
  const typed = type([
    ...letters("héy🚀"),
    [undefined, { name: "backspace" }],
    ["\r", { name: "return" }],
    ...letters("x"),
  ]);
  expect(typed).toEqual({ line: "x", happened: ["line héy"] });
});

test("escape interrupts and keeps the line, Ctrl-C detaches, Ctrl-D only on an empty line", () => {
  expect(type([...letters("ab"), ["\u001b", { name: "escape", meta: true }]])).toEqual({
    line: "ab",
    happened: ["escape"],
  });
  expect(type([["\u0003", { name: "c", ctrl: true }]]).happened).toEqual(["interrupt"]);
  expect(type([["\u0004", { name: "d", ctrl: true }]]).happened).toEqual(["interrupt"]);
  expect(type([...letters("a"), ["\u0004", { name: "d", ctrl: true }]]).happened).toEqual([]);
});

test("a lone escape, as Node.js reports it after a while, interrupts", async () => {
  const keyboard = new PassThrough();
  emitKeypressEvents(keyboard);
  keyboard.write("\u001b");
  const [text, key] = (await once(keyboard, "keypress")) as [string | undefined, Key];
  expect(type([[text, key]])).toEqual({ line: "", happened: ["escape"] });
});

test("keys without a character and control characters change nothing", () => {
  const typed = type([...letters("a"), [undefined, { name: "up" }], ["\u0007", {}], ["\u001b[A", { name: "up" }]]);
  expect(typed).toEqual({ line: "a", happened: [] });
});
