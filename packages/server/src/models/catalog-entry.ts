/** What the catalog says of one model. @module */

/** US dollars per million tokens. */
interface Rates {
  /** Of input that no cache was involved in. */
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

export interface ModelPrice extends Rates {
  /** All rates of a request whose input, cached or not, is `above` this many tokens. */
  readonly longPrompt?: Rates & { readonly above: number };
}

export interface ModelEntry {
  /** Tokens of input and output together. */
  readonly contextWindow: number;
  /** Tokens of one answer. */
  readonly maximumOutput: number;
  /** Null: not known. Such a model cannot be held to a budget of money. */
  readonly price: ModelPrice | null;
}
