/** The parsed form of a pattern. @module */
import type { CodePoints } from "./code-points.ts";

/** What holds between two characters. `word…` ask what is before and after; the first three know lines or the text. */
export type Assertion =
  | "line_start"
  | "line_end"
  | "text_start"
  | "text_end"
  | "word_boundary"
  | "not_word_boundary"
  | "word_start"
  | "word_end"
  | "ascii_word_boundary"
  | "not_ascii_word_boundary";

export type Node =
  | { readonly type: "empty" }
  | { readonly type: "set"; readonly set: CodePoints }
  | { readonly type: "assertion"; readonly assertion: Assertion }
  | { readonly type: "sequence"; readonly nodes: readonly Node[] }
  /** The first is preferred. */
  | { readonly type: "alternatives"; readonly nodes: readonly Node[] }
  | {
      readonly type: "repetition";
      readonly node: Node;
      readonly minimum: number;
      readonly maximum: number;
      readonly greedy: boolean;
    };

export interface ParsedPattern {
  readonly node: Node;
  /** It asks for a carriage return: then one before a line feed is a character like any other. */
  readonly namesCarriageReturn: boolean;
  /** It asks for a line feed. */
  readonly namesLineFeed: boolean;
}

/** What is wrong with a pattern, and where. */
export class PatternError extends Error {
  override readonly name = "PatternError";
  /** In UTF-16 units. */
  readonly position: number;
  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}
