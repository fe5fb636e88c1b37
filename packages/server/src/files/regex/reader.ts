/** A pattern as its parser reads it: character by character, with the flags that hold at the moment. @module */
import { PatternError } from "./syntax.ts";

export interface Flags {
  readonly ignoreCase: boolean;
  /** `^` and `$` hold at every line. */
  readonly lines: boolean;
  /** `.` matches a line feed. */
  readonly dotAll: boolean;
  /** Quantifiers are lazy, and greedy with `?`. */
  readonly swapGreed: boolean;
  /** `\w`, `\d`, `\s` and `\b` know all of Unicode. */
  readonly unicode: boolean;
  /** Spaces and comments in the pattern mean nothing. */
  readonly verbose: boolean;
}

export class Reader {
  at = 0;
  flags: Flags;
  /** Of groups. */
  depth = 0;
  classDepth = 0;
  /** In this class a bracket opens no other one. */
  plainBrackets = false;
  namesCarriageReturn = false;
  namesLineFeed = false;
  readonly pattern: string;

  constructor(pattern: string, flags: Flags) {
    this.pattern = pattern;
    this.flags = flags;
  }

  /** The character at the position, or a later one; empty behind the end. */
  peek(offset = 0): string {
    const point = this.pattern.codePointAt(this.at + offset);
    return point === undefined ? "" : String.fromCodePoint(point);
  }

  take(): string {
    const character = this.peek();
    this.at += character.length;
    return character;
  }

  /** Whether it stands here; goes past it then. */
  accept(text: string): boolean {
    if (!this.pattern.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  /** What an expression with the flag `y` finds here; goes past it then. */
  match(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.pattern);
    if (found !== null) this.at += found[0].length;
    return found;
  }

  skipIgnored(): void {
    while (this.flags.verbose && this.match(/\s+|#[^\n]*/y) !== null);
  }

  /** A code point that the pattern names by itself, not as one of many. */
  literal(codePoint: number): number {
    if (codePoint === 0x0d) this.namesCarriageReturn = true;
    if (codePoint === 0x0a) this.namesLineFeed = true;
    return codePoint;
  }

  fail(message: string, position = this.at): never {
    throw new PatternError(message, position);
  }
}
