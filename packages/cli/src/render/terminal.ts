/** What a command knows of the streams it writes to: width, colours, whether anyone is looking. @module */
import { createColors } from "picocolors";

export type Colors = ReturnType<typeof createColors>;

export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string | Uint8Array): unknown;
}

export interface Terminal {
  /** Data: what a pipe gets. */
  readonly output: TerminalStream;
  /** Progress, hints and errors. */
  readonly progress: TerminalStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** NO_COLOR (https://no-color.org) wins over FORCE_COLOR; without either, colours are for terminals only. */
export function colorsFor(stream: TerminalStream, environment: Terminal["environment"]): Colors {
  const asked = (name: string) => (environment[name] ?? "") !== "";
  const capable = stream.isTTY === true && environment["TERM"] !== "dumb";
  return createColors(!asked("NO_COLOR") && (asked("FORCE_COLOR") || capable));
}

/** Columns of the terminal; 80 where none is known. */
export function widthOf(stream: TerminalStream): number {
  return Math.max(20, stream.columns ?? 80);
}
