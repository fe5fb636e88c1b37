/** How much room text takes in a terminal, and how it is fitted into a column. Expects escaped, unstyled text. @module */

const zeroWidth = /^[\p{M}\uFE0F]$/u;
/** East Asian wide and full-width blocks and pictographs (Unicode annex 11, without its ambiguous class). */
const doubleWidth =
  /^[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]$/u;

function characterWidth(character: string): number {
  if (character < "\u0300") return 1;
  return zeroWidth.test(character) ? 0 : doubleWidth.test(character) ? 2 : 1;
}

/** Columns that one line takes. A tab counts as two, which is how {@link wrapText} writes it. */
export function displayWidth(line: string): number {
  let width = 0;
  for (const character of line) width += character === "\t" ? 2 : characterWidth(character);
  return width;
}

/** Where `line` must be broken to fit: the index after the last character that fits (at least one character). */
function breakIndex(line: string, columns: number): number {
  let width = 0;
  let index = 0;
  for (const character of line) {
    width += characterWidth(character);
    if (width > columns && index > 0) return index;
    index += character.length;
  }
  return index;
}

/**
 * Breaks text into lines of at most `columns`, at spaces where there are any; keeps a line's indentation on the lines
 * that continue it.
 */
export function wrapText(text: string, columns: number): string[] {
  return text.split("\n").flatMap((line) => wrapLine(line.replaceAll("\t", "  ").trimEnd(), columns));
}

function wrapLine(line: string, columns: number): string[] {
  const lines: string[] = [];
  const indentation = /^ */.exec(line)?.[0].slice(0, Math.floor(columns / 2)) ?? "";
  let rest = line;
  while (displayWidth(rest) > columns) {
    const hard = breakIndex(rest, columns);
    const space = rest.lastIndexOf(" ", hard);
    const soft = space > indentation.length ? space : hard;
    const filled = rest.slice(0, soft).trimEnd();
    if (filled !== "") lines.push(filled);
    rest = (soft > indentation.length ? indentation : "") + rest.slice(soft).trimStart();
  }
  return rest.trim() === "" && lines.length > 0 ? lines : [...lines, rest];
}

/** Cuts one line to `columns`, with an ellipsis where something was cut. */
export function cutLine(line: string, columns: number): string {
  const flat = line.replaceAll("\t", "  ");
  if (displayWidth(flat) <= columns) return flat;
  return columns < 2 ? "…".slice(0, columns) : `${flat.slice(0, breakIndex(flat, columns - 1))}…`;
}

/** Fills one line with spaces up to `columns`. */
export function padLine(line: string, columns: number): string {
  return line + " ".repeat(Math.max(0, columns - displayWidth(line)));
}
