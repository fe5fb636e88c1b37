/**
 * Lines that stay, above a few lines that are still changing. On a terminal the changing lines are rewritten in place;
 * elsewhere they are not written at all, so that a pipe gets each line once.
 * @module
 */
import { cutLine, displayWidth } from "./measure.ts";
import type { TerminalStream } from "./terminal.ts";
import { widthOf } from "./terminal.ts";

/** A piece of a line: escaped text and how it is coloured. Text is measured before it is coloured. */
export interface Span {
  readonly text: string;
  readonly style?: (text: string) => string;
}

export type Line = readonly Span[];

export interface Screen {
  readonly width: number;
  /** Adds lines that will not change any more. */
  write(lines: readonly Line[]): void;
  /** Replaces the changing lines. */
  setLive(lines: readonly Line[]): void;
  /** Forgets the changing lines. */
  close(): void;
}

/** Colours are applied to the end of a line and never across one. */
function paintLine(line: Line, columns: number): string {
  let room = columns;
  let painted = "";
  for (const { text, style } of line) {
    const shown = cutLine(text, Math.max(0, room));
    room -= displayWidth(shown);
    painted += style === undefined ? shown : style(shown);
  }
  return painted.trimEnd();
}

export function createScreen(stream: TerminalStream): Screen {
  const interactive = stream.isTTY === true;
  let liveCount = 0;
  const erase = () => {
    if (liveCount === 0) return "";
    const up = liveCount > 1 ? `\u001b[${liveCount - 1}A` : "";
    liveCount = 0;
    return `\r${up}\u001b[J`;
  };
  return {
    get width() {
      return widthOf(stream);
    },
    write(lines) {
      const width = interactive ? widthOf(stream) : Number.POSITIVE_INFINITY;
      stream.write(erase() + lines.map((line) => `${paintLine(line, width)}\n`).join(""));
    },
    setLive(lines) {
      if (!interactive) return;
      // One column is left free: a terminal wraps a line that fills its last one.
      const text = erase() + lines.map((line) => paintLine(line, widthOf(stream) - 1)).join("\n");
      liveCount = lines.length;
      if (text !== "") stream.write(text);
    },
    close() {
      const text = erase();
      if (text !== "") stream.write(text);
    },
  };
}
