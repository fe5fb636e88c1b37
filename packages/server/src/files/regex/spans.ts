/**
 * Where matches begin and end, for those that go over several lines: the machine in many places, each with the place
 * where its match began; the order of places is the order of preference.
 * Source: Russ Cox, swtch.com/~rsc/regexp/regexp2.html ("Pike's implementation"); leftmost-first, as in RE2 and ripgrep.
 * @module
 */
import {
  accept,
  afterAsciiWord,
  afterLineFeed,
  afterNothing,
  afterWord,
  ask,
  fork,
  holds,
  type Program,
  take,
} from "./program.ts";

/** Places looked at between two pauses: some milliseconds. */
const pauseWork = 50_000;

interface Threads {
  readonly places: number[];
  readonly begins: number[];
}

/** UTF-16 units; a carriage return that belongs to a line feed is passed over where the alphabet says so. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One after the other, none over another; null is a moment at which others may run. */
export function* findSpans(program: Program, text: string): Generator<Span | null, void> {
  const machine = new Machine(program, text);
  for (let from = 0; from <= text.length;) {
    machine.begin(from);
    while (!machine.advance()) yield null;
    const { found } = machine;
    // Behind the last line feed there is no line.
    if (found === null || (found.start === text.length && text.endsWith("\n"))) return;
    yield found;
    from = found.end > found.start ? found.end : machine.after(found.end);
  }
}

class Machine {
  found: Span | null = null;
  readonly #program: Program;
  readonly #text: string;
  readonly #marks: Int32Array;
  #mark = 0;
  #at = 0;
  #work = 0;
  #threads: Threads = { places: [], begins: [] };

  constructor(program: Program, text: string) {
    this.#program = program;
    this.#text = text;
    this.#marks = new Int32Array(program.kinds.length);
  }

  begin(at: number): void {
    this.found = null;
    this.#at = at;
    this.#threads = { places: [], begins: [] };
    this.#mark += 1;
  }

  /** The next place between two letters. */
  after(at: number): number {
    return at + ((this.#text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
  }

  /** True: it has found the next match, or there is none. */
  advance(): boolean {
    this.#work = 0;
    while (this.#work < pauseWork) {
      if (this.#passesOver(this.#at)) this.#at += 1;
      if (this.found === null) this.#add(this.#threads, this.#program.start, this.#at, this.#at);
      if (this.#threads.places.length === 0 && this.found !== null) return true;
      const letter = this.#letterAt(this.#at);
      const after = this.after(this.#at);
      const next: Threads = { places: [], begins: [] };
      this.#mark += 1;
      this.#step(next, letter, after);
      if (this.#at >= this.#text.length) return true;
      this.#threads = next;
      this.#at = after;
    }
    return false;
  }

  #step(next: Threads, letter: number, after: number): void {
    const { alphabet, kinds, nexts, operands } = this.#program;
    const { places, begins } = this.#threads;
    const place = this.#passesOver(after) ? after + 1 : after;
    for (const [index, at] of places.entries()) {
      const begin = begins[index] ?? 0;
      if (kinds[at] === accept) {
        this.found = { start: begin, end: this.#at };
        return;
      }
      if (alphabet.members[operands[at] ?? 0]?.[letter] === 1) this.#add(next, nexts[at] ?? 0, begin, place);
    }
  }

  /** Follows what needs no letter, the preferred way first. */
  #add(threads: Threads, start: number, begin: number, at: number): void {
    const { kinds, nexts, operands } = this.#program;
    const open = [start];
    for (;;) {
      const place = open.pop();
      if (place === undefined) return;
      this.#work += 1;
      if (this.#marks[place] === this.#mark) continue;
      this.#marks[place] = this.#mark;
      const kind = kinds[place];
      if (kind === fork) open.push(nexts[place] ?? 0, operands[place] ?? 0);
      else if (kind === ask) {
        if (holds(this.#program, place, this.#bitsBefore(at), this.#letterAt(at))) open.push(nexts[place] ?? 0);
      } else if (kind === take || kind === accept) {
        threads.places.push(place);
        threads.begins.push(begin);
      }
    }
  }

  #passesOver(at: number): boolean {
    const { alphabet } = this.#program;
    if (this.#text.charCodeAt(at) !== 0x0d || alphabet.units[0x0d] !== alphabet.other) return false;
    return at + 1 === this.#text.length || this.#text.charCodeAt(at + 1) === 0x0a;
  }

  #letterAt(at: number): number {
    const { alphabet } = this.#program;
    const point = this.#text.codePointAt(at);
    return point === undefined ? alphabet.size : alphabet.letterOf(point);
  }

  #bitsBefore(at: number): number {
    if (at === 0) return afterNothing;
    const { alphabet } = this.#program;
    const unit = this.#text.charCodeAt(at - 1);
    const isTrail = unit >= 0xdc00 && unit <= 0xdfff;
    const letter = this.#letterAt(isTrail ? at - 2 : this.#passesOver(at - 1) && at > 1 ? at - 2 : at - 1);
    return (
      (unit === 0x0a ? afterLineFeed : 0) |
      (alphabet.isWord[letter] === 1 ? afterWord : 0) |
      (alphabet.isAsciiWord[letter] === 1 ? afterAsciiWord : 0)
    );
  }
}
