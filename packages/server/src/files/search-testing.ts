/** Patterns at random, for tests that compare engines. @module */

/** Numbers below a limit, the same for the same seed. */
export function createRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const atoms = [
  "a",
  "b",
  "c",
  "t",
  "cat",
  "ab",
  "A",
  "C",
  "é",
  "É",
  "s",
  "ß",
  "σ",
  "日",
  "😀",
  " ",
  ".",
  "\\.",
  "\\w",
  "\\W",
  "\\d",
  "\\s",
  "\\S",
  "\\b",
  "\\B",
  "^",
  "$",
  "[abc]",
  "[^a]",
  "[a-m]",
  "[^\\w]",
  "\\p{L}",
  "\\p{Lu}",
  "\\P{L}",
  "[[:upper:]]",
  "[é-ü]",
  "(?i:c)",
  "(?-u:\\w)",
  "\\D",
  "x",
  "[\\d\\s]",
  "\\t",
  "(?-u:\\b)",
  "4",
  "\\(",
];
const quantifiers = ["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "{0}"];

/** Each call another pattern; some of them are not valid. */
export function createPatterns(seed: number): () => string {
  const random = createRandom(seed);
  const part = (depth: number): string => {
    const choice = random(10);
    let text = atoms[random(atoms.length)] ?? "";
    if (choice < 2 && depth > 0) text = `(${sequence(depth - 1)})`;
    if (choice === 2 && depth > 0) text = `(?:${sequence(depth - 1)}|${sequence(depth - 1)})`;
    return random(4) === 0 ? text + (quantifiers[random(quantifiers.length)] ?? "") : text;
  };
  const sequence = (depth: number): string => Array.from({ length: 1 + random(4) }, () => part(depth)).join("");
  return () => (random(5) === 0 ? `${sequence(2)}|${sequence(1)}` : sequence(2));
}
