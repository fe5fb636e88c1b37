/** What every command gets: streams, environment, and the server it talks to, connected when first asked for. @module */
import type { Api } from "./api.ts";
import type { Terminal } from "./render/terminal.ts";

export interface CommandContext extends Terminal {
  readonly home: string;
  /** Null where there is no terminal to type at. */
  readonly keyboard: NodeJS.ReadStream | null;
  connect(): Promise<Api>;
  /** Calls back at Ctrl-C or SIGTERM until the returned function is called. */
  onInterrupt(listener: () => void): () => void;
}

export function writeLine(stream: { write(text: string): unknown }, text: string): void {
  stream.write(`${text}\n`);
}

/** One value per line, as `--json` promises. */
export function writeJson(stream: { write(text: string): unknown }, value: unknown): void {
  stream.write(`${JSON.stringify(value)}\n`);
}
