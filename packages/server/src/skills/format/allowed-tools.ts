/** The value of `allowed-tools`: names separated by spaces, each with a pattern in parentheses if it likes. Pure. @module */

/** @example splitTools("Bash(git add:*) Read") // ["Bash(git add:*)", "Read"] */
export function splitTools(text: string): readonly string[] {
  const found: string[] = [];
  let current = "";
  let depth = 0;
  for (const character of text) {
    if (character === "(") depth += 1;
    if (character === ")") depth = Math.max(0, depth - 1);
    if (depth === 0 && /[\s,]/.test(character)) {
      if (current !== "") found.push(current);
      current = "";
    } else current += character;
  }
  return current === "" ? found : [...found, current];
}
