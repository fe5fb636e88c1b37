/** Runs an automaton over a text, in pieces: the first place of each line where a match has been seen. @module */
import { type Automaton, ended, matched } from "./automaton.ts";
import { afterLineFeed, afterNothing } from "./program.ts";

/** UTF-16 units of one piece: about a millisecond. */
const pieceLength = 1 << 19;
/** Of `Automaton.work`: some milliseconds. */
const pieceWork = 50_000;

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

export interface ScanOptions {
  /** A match ends at its line's end; else one match anywhere is enough. */
  readonly singleLines: boolean;
  /** Every line that matches holds it. Empty: not known. */
  readonly literal: string;
  /** Lines. */
  readonly maximum: number;
}

export class Scan {
  /** Where each line begins that matches; with `singleLines: false`, at most one, where the search may begin. */
  readonly starts: number[] = [];
  readonly #automaton: Automaton;
  readonly #text: string;
  readonly #options: ScanOptions;
  #at = 0;
  #row: number;

  constructor(automaton: Automaton, text: string, options: ScanOptions) {
    this.#automaton = automaton;
    this.#text = text;
    this.#options = options;
    this.#row = automaton.start(afterNothing);
    if (!this.#skip()) this.#at = text.length + 1;
  }

  /** Goes on for some milliseconds. True: it is at its end. */
  advance(): boolean {
    const { length } = this.#text;
    const until = Math.min(length, this.#at + pieceLength);
    this.#automaton.work = 0;
    while (this.#at <= length && this.#automaton.work < pieceWork) {
      if (this.starts.length >= this.#options.maximum) return true;
      if (this.#at >= until && until < length) return false;
      this.#walk(until);
      if (this.#at < length ? !this.#turn() : !this.#finish()) return true;
    }
    return this.#at > length;
  }

  /** As far as the table goes. */
  #walk(until: number): void {
    const text = this.#text;
    const { table, program } = this.#automaton;
    const { units } = program.alphabet;
    let at = this.#at;
    let row = this.#row;
    while (at < until) {
      const next = table[row + (units[text.charCodeAt(at)] ?? 0)] ?? 0;
      if (next <= 0) break;
      row = next;
      at += 1;
    }
    this.#at = at;
    this.#row = row;
  }

  /** One letter that the table does not know, or that ends something. False: the scan is over. */
  #turn(): boolean {
    const text = this.#text;
    const { alphabet } = this.#automaton.program;
    const unit = text.charCodeAt(this.#at);
    let letter = alphabet.units[unit] ?? 0;
    let width = 1;
    if (letter === alphabet.other) {
      const endsLine = this.#at + 1 === text.length || text.charCodeAt(this.#at + 1) === lineFeed;
      if (unit === carriageReturn && endsLine) {
        this.#at += 1;
        return true;
      }
      const point = text.codePointAt(this.#at) ?? 0;
      letter = alphabet.letterOf(point);
      width = point > 0xffff ? 2 : 1;
    }
    const known = this.#automaton.table[this.#row + letter] ?? 0;
    const next = known === 0 ? this.#automaton.step(this.#row, letter) : known;
    if (next === matched) return this.#keep(unit === lineFeed ? this.#at : this.#at + width);
    if (next === ended) return false;
    this.#row = next;
    this.#at += width;
    return true;
  }

  #finish(): boolean {
    const text = this.#text;
    this.#at = text.length;
    const lastLineIsOver = text === "" || text.charCodeAt(text.length - 1) === lineFeed;
    if (this.#options.singleLines && lastLineIsOver) return false;
    const { alphabet } = this.#automaton.program;
    if (this.#automaton.step(this.#row, alphabet.size) === matched) this.#keep(text.length);
    return false;
  }

  /** A match ends before `end`, in the line that is there. False: no line follows. */
  #keep(end: number): boolean {
    const text = this.#text;
    this.starts.push(end === 0 ? 0 : text.lastIndexOf("\n", end - 1) + 1);
    if (!this.#options.singleLines) return false;
    const feed = text.indexOf("\n", end);
    if (feed === -1) return false;
    this.#at = feed + 1;
    this.#row = this.#automaton.start(afterLineFeed);
    return this.#skip();
  }

  /** At the beginning of a line: on to the line of the next literal. False: there is none. */
  #skip(): boolean {
    const { literal, singleLines } = this.#options;
    if (literal === "") return true;
    const text = this.#text;
    const found = text.indexOf(literal, this.#at);
    if (found === -1) return false;
    if (!singleLines || found === 0) return true;
    this.#at = text.lastIndexOf("\n", found - 1) + 1;
    this.#row = this.#automaton.start(afterLineFeed);
    return true;
  }
}
