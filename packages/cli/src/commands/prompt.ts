/** One line that is typed while other lines arrive above it. @module */
import { emitKeypressEvents } from "node:readline";

export interface PromptListener {
  onLine(line: string): void;
  onEscape(): void;
  onInterrupt(): void;
  /** The line as it stands. */
  onChange(text: string): void;
}

export interface Key {
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
}

/** Longest line that can be typed or pasted, in UTF-16 units. */
const maximumLength = 100_000;

/** What one key does to the line. Returns the line after it. */
export function pressKey(line: string, text: string | undefined, key: Key, listener: PromptListener): string {
  if (key.ctrl === true) {
    if (key.name === "c" || (key.name === "d" && line === "")) listener.onInterrupt();
    if (key.name === "u") return "";
    return key.name === "w" ? line.replace(/\S*\s*$/, "") : line;
  }
  switch (key.name) {
    case "return":
    case "enter":
      listener.onLine(line);
      return "";
    case "escape":
      listener.onEscape();
      return line;
    case "backspace":
      return Array.from(line).slice(0, -1).join("");
    default:
      // oxlint-disable-next-line no-control-regex
      return text === undefined || /[\u0000-\u001f\u007f]/.test(text) ? line : (line + text).slice(0, maximumLength);
  }
}

/** Takes the keyboard over until it is closed. */
export function openPrompt(keyboard: NodeJS.ReadStream, listener: PromptListener): { close(): void } {
  let line = "";
  const onKey = (text: string | undefined, key: Key) => {
    line = pressKey(line, text, key, listener);
    listener.onChange(line);
  };
  emitKeypressEvents(keyboard);
  keyboard.setRawMode(true);
  keyboard.resume();
  keyboard.on("keypress", onKey);
  listener.onChange(line);
  return {
    close() {
      keyboard.off("keypress", onKey);
      keyboard.setRawMode(false);
      keyboard.pause();
    },
  };
}
