/**
 * The same machine in one place at a time (a deterministic automaton), built as far as texts need it: each step is one
 * look into a table, so that a text takes linear time whatever the pattern. States are forgotten when they become many.
 * Source: Russ Cox, swtch.com/~rsc/regexp/regexp1.html ("caching the NFA to build a DFA"); the design of RE2's `dfa.cc`.
 * @module
 */
import { accept, afterNothing, ask, bitsAfter, fork, holds, type Program, take } from "./program.ts";

/** In a table, where no state is. */
export const unknown = 0;
export const matched = -1;
/** Nothing can match any more, before the text ends. */
export const ended = -2;

/** Integers of a table: 8 MB. */
const largestTable = 2_000_000;
/** Of all states together. */
const mostPlaces = 1_000_000;

interface State {
  /** Ascending. */
  readonly places: Int32Array;
  readonly before: number;
  readonly accepts: boolean;
  readonly asks: boolean;
}

export class Automaton {
  readonly program: Program;
  /** Each state is a row: the next state for each letter, then for the end of the text, then `unknown`. */
  table: Int32Array;
  readonly width: number;
  /** Places that were looked at, since the last reading: what building states has cost. */
  work = 0;
  readonly #singleLines: boolean;
  readonly #anchored: boolean;
  readonly #mostPlaces: number;
  #states: State[] = [];
  #rows = new Map<string, number>();
  readonly #starts = new Map<number, number>();
  #places = 0;
  #marks: Int32Array;
  #mark = 0;

  /**
   * @param options.singleLines Matches hold no line feed.
   * @param options.anchored Matches begin where the text does. Default: anywhere.
   * @param options.mostPlaces Of all states together, before they are forgotten.
   */
  constructor(
    program: Program,
    options: { readonly singleLines: boolean; readonly anchored?: boolean; readonly mostPlaces?: number },
  ) {
    this.program = program;
    this.#singleLines = options.singleLines;
    this.#anchored = options.anchored ?? false;
    this.#mostPlaces = options.mostPlaces ?? mostPlaces;
    this.width = program.alphabet.size + 2;
    this.table = new Int32Array(this.width * 16);
    this.#marks = new Int32Array(program.kinds.length);
  }

  /** The state at a place before which stand `before` and nothing of a match. */
  start(before: number): number {
    const known = this.#starts.get(before);
    if (known !== undefined) return known;
    const row = this.#rowOf(this.#reach([this.program.start], null, null), this.program.asks ? before : 0);
    this.#starts.set(before, row);
    return row;
  }

  /** Whether a line without a character matches. */
  acceptsEmpty(): boolean {
    return this.step(this.start(afterNothing), this.program.alphabet.size) === matched;
  }

  /** Fills one cell of the table. @returns what is in it: a state, `matched` or `ended` */
  step(row: number, letter: number): number {
    const state = this.#states[row / this.width];
    if (state === undefined) throw new Error("the automaton has forgotten this state");
    const next = this.#next(state, letter);
    // A new state may have begun a new table.
    if (this.#states[row / this.width] === state) this.table[row + letter] = next;
    return next;
  }

  #next(state: State, letter: number): number {
    const { program } = this;
    const { alphabet, kinds, nexts, operands, start } = program;
    if (state.accepts) return matched;
    const places = state.asks ? this.#reach(state.places, state.before, letter) : state.places;
    if (state.asks && this.#accepts(places)) return matched;
    if (letter === alphabet.size) return ended;
    const isLineEnd = this.#singleLines && letter === alphabet.lineFeed;
    const targets: number[] = [];
    if (!isLineEnd) {
      for (const place of places) {
        if (kinds[place] === take && alphabet.members[operands[place] ?? 0]?.[letter] === 1)
          targets.push(nexts[place] ?? 0);
      }
    }
    if (!this.#anchored) targets.push(start);
    else if (targets.length === 0) return ended;
    const reached = this.#reach(targets, null, null);
    // Behind a line feed there may be no line any more.
    if (!isLineEnd && this.#accepts(reached)) return matched;
    return this.#rowOf(reached, bitsAfter(program, letter));
  }

  #accepts(places: Int32Array): boolean {
    return places.some((place) => this.program.kinds[place] === accept);
  }

  /** Every place that is reached without a letter; through assertions only where it is known what they ask for. */
  #reach(from: Iterable<number>, before: number | null, after: number | null): Int32Array {
    const { kinds, nexts, operands } = this.program;
    this.#mark += 1;
    const found: number[] = [];
    const open = [...from];
    for (;;) {
      const place = open.pop();
      if (place === undefined) break;
      if (this.#marks[place] === this.#mark) continue;
      this.#marks[place] = this.#mark;
      const kind = kinds[place];
      if (kind === fork) open.push(nexts[place] ?? 0, operands[place] ?? 0);
      else if (kind === ask && before !== null && after !== null) {
        if (holds(this.program, place, before, after)) open.push(nexts[place] ?? 0);
      } else found.push(place);
    }
    this.work += 2 * found.length + 20;
    return Int32Array.from(found).sort();
  }

  #rowOf(places: Int32Array, before: number): number {
    const asks = places.some((place) => this.program.kinds[place] === ask);
    const known = asks ? before : 0;
    const key = `${known}:${places.join()}`;
    const row = this.#rows.get(key);
    if (row !== undefined) return row;
    this.#places += places.length;
    if ((this.#states.length + 1) * this.width > largestTable || this.#places > this.#mostPlaces) this.#forget();
    // No state has the number zero.
    if (this.#states.length === 0)
      this.#states.push({ places: new Int32Array(), before: 0, accepts: false, asks: false });
    const added = this.#states.length * this.width;
    this.#states.push({ places, before: known, accepts: this.#accepts(places), asks });
    this.#rows.set(key, added);
    if (added + this.width > this.table.length) {
      const grown = new Int32Array(this.table.length * 2);
      grown.set(this.table);
      this.table = grown;
    }
    return added;
  }

  #forget(): void {
    this.#states = [];
    this.#rows.clear();
    this.#starts.clear();
    this.#places = 0;
    this.table = new Int32Array(this.width * 16);
  }
}
