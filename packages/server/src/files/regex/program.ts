/**
 * A pattern as a program of a machine that is in many places at once (a non-deterministic automaton): it takes a letter,
 * goes on at two places, asks for something between two letters, or has matched.
 * Source: Ken Thompson, "Regular Expression Search Algorithm" (1968); Russ Cox, swtch.com/~rsc/regexp/regexp2.html.
 * @module
 */
import { type Alphabet, createAlphabet } from "./alphabet.ts";
import type { CodePoints } from "./code-points.ts";
import { type Assertion, type Node, PatternError } from "./syntax.ts";

export const take = 0;
export const fork = 1;
export const ask = 2;
export const accept = 3;

/** More of them would make one step of the machine too slow. */
const mostInstructions = 10_000;
/** Parts that are looked at; those that match nothing become no instruction, however often they are repeated. */
const mostParts = 100_000;

export interface Program {
  readonly start: number;
  /** One of the four above. */
  readonly kinds: readonly number[];
  /** `take`: the number of its set; `fork`: the preferred place; `ask`: which assertion. */
  readonly operands: readonly number[];
  /** Where it goes on; `fork`: the other place. */
  readonly nexts: readonly number[];
  readonly alphabet: Alphabet;
  readonly asks: boolean;
}

/** What is known of the place between two letters; also the bits that hold before one. */
export const afterLineFeed = 1;
export const afterNothing = 2;
export const afterWord = 4;
export const afterAsciiWord = 8;

const assertions: readonly Assertion[] = [
  "line_start",
  "line_end",
  "text_start",
  "text_end",
  "word_boundary",
  "not_word_boundary",
  "word_start",
  "word_end",
  "ascii_word_boundary",
  "not_ascii_word_boundary",
];

/** @throws PatternError when it becomes too large */
export function compileProgram(node: Node, endsLines: boolean): Program {
  const compiler = new Compiler();
  const start = compiler.compile(node, compiler.emit(accept, 0, 0));
  const { kinds, operands, nexts, sets } = compiler;
  const knowsWords = kinds.some((kind, index) => kind === ask && (operands[index] ?? 0) > 3);
  const alphabet = createAlphabet(sets, { knowsWords, endsLines });
  return { start, kinds, operands, nexts, alphabet, asks: kinds.includes(ask) };
}

class Compiler {
  readonly kinds: number[] = [];
  readonly operands: number[] = [];
  readonly nexts: number[] = [];
  readonly sets: CodePoints[] = [];
  readonly #numbers = new Map<string, number>();
  /** Of sets that a repetition brings again and again. */
  readonly #seen = new Map<CodePoints, number>();
  #parts = 0;

  emit(kind: number, operand: number, next: number): number {
    if (this.kinds.length >= mostInstructions) throw tooLarge();
    this.kinds.push(kind);
    this.operands.push(operand);
    this.nexts.push(next);
    return this.kinds.length - 1;
  }

  /** The place where the node begins, which goes on at `next`. */
  compile(node: Node, next: number): number {
    this.#parts += 1;
    if (this.#parts > mostParts) throw tooLarge();
    switch (node.type) {
      case "empty":
        return next;
      case "set":
        return this.emit(take, this.#numberOf(node.set), next);
      case "assertion":
        return this.emit(ask, assertions.indexOf(node.assertion), next);
      case "sequence":
        return node.nodes.reduceRight((following, part) => this.compile(part, following), next);
      case "alternatives":
        return node.nodes
          .map((part) => this.compile(part, next))
          .reduceRight((other, preferred) => this.emit(fork, preferred, other));
      case "repetition":
        return this.#repeat(node, next);
    }
  }

  #repeat({ node, minimum, maximum, greedy }: Node & { type: "repetition" }, next: number): number {
    let start = next;
    if (maximum === Infinity) {
      const loop = this.emit(fork, next, next);
      const body = this.compile(node, loop);
      this.operands[loop] = greedy ? body : next;
      this.nexts[loop] = greedy ? next : body;
      start = loop;
    } else {
      for (let copy = minimum; copy < maximum; copy += 1) {
        const body = this.compile(node, start);
        start = greedy ? this.emit(fork, body, next) : this.emit(fork, next, body);
      }
    }
    for (let copy = 0; copy < minimum; copy += 1) start = this.compile(node, start);
    return start;
  }

  #numberOf(set: CodePoints): number {
    const seen = this.#seen.get(set);
    if (seen !== undefined) return seen;
    const key = set.join();
    const number = this.#numbers.get(key) ?? this.sets.length;
    if (number === this.sets.length) this.sets.push(set);
    this.#numbers.set(key, number);
    this.#seen.set(set, number);
    return number;
  }
}

function tooLarge(): PatternError {
  return new PatternError("it is too large with all its repetitions", 0);
}

/**
 * Whether an assertion holds between two letters.
 * @param before Bits of what stands before.
 * @param after The letter that follows; the size of the alphabet where the text ends.
 */
export function holds(program: Program, instruction: number, before: number, after: number): boolean {
  const { alphabet } = program;
  const isEnd = after === alphabet.size;
  const word = (before & afterWord) !== 0;
  const nextWord = !isEnd && alphabet.isWord[after] === 1;
  switch (assertions[program.operands[instruction] ?? 0]) {
    case "line_start":
      return (before & (afterLineFeed | afterNothing)) !== 0;
    case "line_end":
      return isEnd || after === alphabet.lineFeed;
    case "text_start":
      return (before & afterNothing) !== 0;
    case "text_end":
      return isEnd;
    case "word_boundary":
      return word !== nextWord;
    case "not_word_boundary":
      return word === nextWord;
    case "word_start":
      return !word && nextWord;
    case "word_end":
      return word && !nextWord;
    default: {
      const differs = ((before & afterAsciiWord) !== 0) !== (!isEnd && alphabet.isAsciiWord[after] === 1);
      return differs === (assertions[program.operands[instruction] ?? 0] === "ascii_word_boundary");
    }
  }
}

/** What stands before the next place, when this letter was there. */
export function bitsAfter({ alphabet, asks }: Program, letter: number): number {
  if (!asks) return 0;
  return (
    (letter === alphabet.lineFeed ? afterLineFeed : 0) |
    (alphabet.isWord[letter] === 1 ? afterWord : 0) |
    (alphabet.isAsciiWord[letter] === 1 ? afterAsciiWord : 0)
  );
}
