/**
 * Files as a team's memory and skills hold them, the same for the same seed: prose and code of words by Zipf's law, in
 * nested directories, some with long lines. A few words are put in on purpose, so that it is known what a search finds.
 * @module
 */
import { createHash } from "node:crypto";

export interface CorpusFile {
  /** Relative, with slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Corpus {
  readonly files: readonly CorpusFile[];
  readonly bytes: number;
  /** In this many files, one line each. */
  readonly rare: { readonly word: string; readonly files: number };
  readonly hundred: { readonly word: string; readonly files: number };
  /** In more than half of the files. */
  readonly common: string;
  /** A directory of a thousand files. */
  readonly thousand: string;
  readonly sha256: string;
}

/** Numbers from 0 to 1, by mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const syllables =
  "ba be bi bo ca ce co da de di do fa fe fi ga ge go ha he la le li lo ma me mi mo na ne ni no pa pe pi po ra re ri ro sa se si so ta te ti to va ve vi".split(
    " ",
  );
const endings = ["", "n", "r", "s", "t", "ed", "er", "ing", "ion", "ly"];
const languages = ["ts", "py", "go", "md", "md", "json"];

/** A vocabulary, its first words the most frequent. */
function createVocabulary(random: () => number, size: number): string[] {
  const words = new Set([
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "for",
    "that",
    "with",
    "return",
    "const",
    "function",
    "value",
  ]);
  while (words.size < size) {
    const length = 1 + Math.floor(random() * 3);
    const parts = Array.from({ length }, () => syllables[Math.floor(random() * syllables.length)] ?? "");
    words.add(parts.join("") + (endings[Math.floor(random() * endings.length)] ?? ""));
  }
  return [...words];
}

/** Ranks with a probability of about 1/rank. */
function createZipf(random: () => number, size: number): () => number {
  const sums = new Float64Array(size);
  let sum = 0;
  for (let rank = 0; rank < size; rank += 1) sums[rank] = sum += 1 / (rank + 2.7);
  return () => {
    const wanted = random() * sum;
    let [low, high] = [0, size - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

class Writer {
  readonly #random: () => number;
  readonly #words: readonly string[];
  readonly #rank: () => number;

  constructor(random: () => number) {
    this.#random = random;
    this.#words = createVocabulary(random, 20_000);
    this.#rank = createZipf(random, this.#words.length);
  }

  word(): string {
    return this.#words[this.#rank()] ?? "";
  }

  words(count: number): string {
    return Array.from({ length: count }, () => this.word()).join(" ");
  }

  number(below: number): number {
    return Math.floor(this.#random() * below);
  }

  line(language: string, depth: number): string {
    const indent = "  ".repeat(depth);
    const kind = this.number(12);
    if (language === "md")
      return kind === 0 ? `## ${this.words(4)}` : kind < 3 ? "" : `${this.words(10 + this.number(8))}.`;
    if (language === "json")
      return `${indent}"${this.word()}_${this.word()}": ${kind < 6 ? this.number(100_000) : `"${this.words(3)}"`},`;
    if (kind < 2) return `${indent}${language === "py" ? "#" : "//"} ${this.words(8)}`;
    if (kind < 5)
      return `${indent}const ${this.word()}${this.number(99)} = ${this.word()}(${this.word()}, ${this.number(1_000)});`;
    if (kind < 7) return `${indent}return ${this.word()}.${this.word()}(${this.word()});`;
    if (kind < 8) return `${indent}function ${this.word()}_${this.word()}(${this.word()}, ${this.word()}) {`;
    if (kind < 9)
      return `${indent}if (${this.word()} > ${this.number(50)}) ${this.word()}.${this.word()} = (x) => { ${this.word()}(); };`;
    if (kind < 10) return `${indent}}`;
    return kind < 11 ? "" : `${indent}${this.word()}.${this.word()}.${this.word()}("${this.words(3)}");`;
  }

  /** Some files of a corpus are much longer than most. */
  file(language: string, bytes: number): string {
    const lines: string[] = [];
    for (let size = 0; size < bytes;) {
      const isLong = this.number(2_000) === 0;
      const line = isLong ? this.words(400) : this.line(language, this.number(4));
      lines.push(line);
      size += line.length + 1;
    }
    return `${lines.join("\n")}\n`;
  }
}

/** @param options.bytes of all files, about */
export function createCorpus(options: {
  readonly files: number;
  readonly bytes: number;
  readonly seed: number;
}): Corpus {
  const random = createRandom(options.seed);
  const writer = new Writer(random);
  const rare = { word: "quixotry_beacon", files: Math.min(3, options.files) };
  const hundred = { word: "palimpsest", files: Math.min(100, options.files) };
  const thousand = "wide";
  const wide = Math.min(1_000, Math.floor(options.files / 10));
  const average = options.bytes / options.files;
  const hash = createHash("sha256");
  let bytes = 0;
  const files = Array.from({ length: options.files }, (_, number): CorpusFile => {
    const language = languages[number % languages.length] ?? "md";
    const name = `${writer.word()}-${number}.${language}`;
    const directory = number < wide ? thousand : `${writer.number(20)}/${writer.word()}/${writer.number(10)}`;
    // Log-normal in shape: most are small, the mean is what was asked for.
    const size = average * Math.min(20, Math.exp(1.1 * (random() + random() + random() + random() - 2)) / 1.22);
    const lines = writer.file(language, size).split("\n");
    const put = (word: string) =>
      lines.splice(writer.number(lines.length), 0, `// ${writer.words(3)} ${word} ${writer.words(2)}`);
    if (
      number % Math.floor(options.files / rare.files) === 0 &&
      number / Math.floor(options.files / rare.files) < rare.files
    )
      put(rare.word);
    if (number % Math.floor(options.files / hundred.files) === 0) put(hundred.word);
    const text = lines.join("\n");
    bytes += Buffer.byteLength(text);
    hash.update(`${directory}/${name}\0${text}\0`);
    return { path: `${directory}/${name}`, text };
  });
  return { files, bytes, rare, hundred, common: "return", thousand, sha256: hash.digest("hex") };
}
