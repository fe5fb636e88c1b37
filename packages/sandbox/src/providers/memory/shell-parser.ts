/**
 * Reads the part of bash that a sandbox in memory understands: simple commands with assignments, quotes, `$NAME`,
 * `${NAME}`, `$$`, `$?`, `$!`; redirections `<` `>` `>>` `2>` `2>>` `>&2` `2>&1`; `;` `&` `&&` `||` and line ends.
 * Anything else is refused, so that no command means something other than in bash.
 * @module
 */

export type WordPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "variable"; readonly name: string; readonly quoted: boolean };

export type Word = readonly WordPart[];

export interface Redirection {
  readonly descriptor: 0 | 1 | 2;
  readonly operator: "<" | ">" | ">>" | ">&";
  readonly target: Word;
}

export interface SimpleCommand {
  readonly words: readonly Word[];
  readonly redirections: readonly Redirection[];
}

export interface ListItem {
  readonly command: SimpleCommand;
  /** Whether it runs, by the exit code before it. */
  readonly when: "always" | "and" | "or";
  readonly background: boolean;
}

export class ShellSyntaxError extends Error {
  override readonly name = "ShellSyntaxError";
}

const variable = /^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\}|([$?!]))/;
const operator = /^(?:&&|\|\||;|&(?!>)|\n)/;
const redirection = /^([012]?)(>>|>&|>|<(?![<(&]))/;
/** Meaningful in bash outside quotes, and not understood here. */
const refused = /^[|()`{}*[\]<>&]/;

interface Reader {
  readonly text: string;
  at: number;
}

function rest(reader: Reader): string {
  return reader.text.slice(reader.at);
}

function skipBlanks(reader: Reader): void {
  while (/[ \t]/.test(reader.text[reader.at] ?? "")) reader.at++;
}

function readVariable(reader: Reader, quoted: boolean): WordPart {
  const match = variable.exec(rest(reader));
  if (match === null) throw new ShellSyntaxError(`not understood: ${rest(reader).slice(0, 20)}`);
  reader.at += match[0].length;
  return { type: "variable", name: match[1] ?? match[2] ?? match[3] ?? "", quoted };
}

function readDoubleQuoted(reader: Reader, parts: WordPart[]): void {
  let text = "";
  for (reader.at++; reader.text[reader.at] !== '"';) {
    const character = reader.text[reader.at];
    if (character === undefined) throw new ShellSyntaxError("a quote is not closed");
    if (character === "`") throw new ShellSyntaxError("not understood: `");
    if (character === "$") {
      parts.push({ type: "text", text }, readVariable(reader, true));
      text = "";
      continue;
    }
    const following = reader.text[reader.at + 1] ?? "";
    const escapes = character === "\\" && '$`"\\'.includes(following) && following !== "";
    text += escapes ? following : character;
    reader.at += escapes ? 2 : 1;
  }
  reader.at++;
  parts.push({ type: "text", text });
}

/** Takes one word. Empty when none begins here. */
function readWord(reader: Reader): WordPart[] {
  const parts: WordPart[] = [];
  for (let character = reader.text[reader.at]; character !== undefined; character = reader.text[reader.at]) {
    if (/[ \t\n;&|<>]/.test(character)) break;
    if (character === "'") {
      const end = reader.text.indexOf("'", reader.at + 1);
      if (end < 0) throw new ShellSyntaxError("a quote is not closed");
      parts.push({ type: "text", text: reader.text.slice(reader.at + 1, end) });
      reader.at = end + 1;
    } else if (character === '"') readDoubleQuoted(reader, parts);
    else if (character === "$") parts.push(readVariable(reader, false));
    else if (character === "\\") {
      parts.push({ type: "text", text: reader.text[reader.at + 1] ?? "" });
      reader.at += 2;
    } else if (refused.test(character) && rest(reader) !== "[" && !/^[[\]] ?/.test(rest(reader))) {
      throw new ShellSyntaxError(`not understood: ${character}`);
    } else {
      const plain = /^[^ \t\n;&|<>'"$\\(){}*`]+/.exec(rest(reader))?.[0] ?? "";
      if (plain === "") throw new ShellSyntaxError(`not understood: ${character}`);
      parts.push({ type: "text", text: plain });
      reader.at += plain.length;
    }
  }
  return parts;
}

function readRedirection(reader: Reader): Redirection | null {
  const match = redirection.exec(rest(reader));
  if (match === null) return null;
  reader.at += match[0].length;
  skipBlanks(reader);
  const target = readWord(reader);
  if (target.length === 0) throw new ShellSyntaxError("a redirection leads nowhere");
  const sign = match[2] === ">>" || match[2] === ">&" || match[2] === "<" ? match[2] : ">";
  const descriptor = match[1] === "" ? (sign === "<" ? 0 : 1) : match[1] === "2" ? 2 : match[1] === "1" ? 1 : 0;
  return { descriptor, operator: sign, target };
}

function readCommand(reader: Reader): SimpleCommand {
  const words: Word[] = [];
  const redirections: Redirection[] = [];
  for (;;) {
    skipBlanks(reader);
    const redirected = readRedirection(reader);
    if (redirected !== null) {
      redirections.push(redirected);
      continue;
    }
    const word = readWord(reader);
    if (word.length === 0) return { words, redirections };
    words.push(word);
  }
}

/** @throws ShellSyntaxError for everything that is not understood. */
export function parseShell(text: string): readonly ListItem[] {
  const reader: Reader = { text, at: 0 };
  const items: ListItem[] = [];
  let when: ListItem["when"] = "always";
  while (reader.at < text.length) {
    const command = readCommand(reader);
    const sign = operator.exec(rest(reader))?.[0];
    if (sign === undefined && reader.at < text.length)
      throw new ShellSyntaxError(`not understood: ${rest(reader).slice(0, 20)}`);
    reader.at += sign?.length ?? 0;
    const isEmpty = command.words.length === 0 && command.redirections.length === 0;
    if (!isEmpty) items.push({ command, when, background: sign === "&" });
    else if (sign !== "\n" && sign !== undefined) throw new ShellSyntaxError(`nothing stands before ${sign}`);
    if (!isEmpty || sign !== "\n") when = sign === "&&" ? "and" : sign === "||" ? "or" : "always";
  }
  return items;
}
