/**
 * Text that a model, a tool or a server wrote, made safe for a terminal. Control sequences could move the cursor, set
 * the clipboard or answer a query as if typed; bidirectional and invisible characters make a command read as another
 * one. All of them are shown instead of sent.
 * @module
 */

/** Controls, format characters (bidirectional, zero-width, tags), line separators, lone surrogates, invisible fillers. */
const unsafe = /(?![\n\t])(?!(?<=\p{Emoji})\uFE0F)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

function showCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
}

/**
 * Keeps newlines and tabs; CRLF becomes a newline. Everything else that a terminal would interpret or hide becomes a
 * visible escape.
 *
 * @example escapeForTerminal("\u001b[2J") // "\\x1b[2J"
 */
export function escapeForTerminal(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(unsafe, showCharacter);
}

/** As {@link escapeForTerminal}, on one line: runs of white space become one space. */
export function escapeToLine(text: string): string {
  return escapeForTerminal(text).replace(/\s+/g, " ").trim();
}
