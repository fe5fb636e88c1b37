/** Text in files: what counts as text, and how a part of it is replaced. Pure. @module */
import { createHash } from "node:crypto";
import { FileError } from "./store.ts";

export interface TextChange {
  readonly oldText: string;
  readonly newText: string;
  readonly all: boolean;
}

/** The text of a file. Null when it is binary: not UTF-8, or with NUL bytes. */
export function decodeText(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** In hexadecimal. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * @throws FileError `binary`, `no_match`, `not_unique`
 * @example replaceText("/a", encodeText("a b"), { oldText: "b", newText: "c", all: false }).replacements // 1
 */
export function replaceText(
  path: string,
  bytes: Uint8Array,
  change: TextChange,
): { readonly bytes: Uint8Array; readonly replacements: number } {
  const text = decodeText(bytes);
  if (text === null) throw new FileError("binary", `${path} is a binary file and cannot be edited as text.`);
  const { pieces, newText } = splitByText(text, change);
  const replacements = pieces.length - 1;
  const named = `String: ${shorten(change.oldText)}\nFile: ${path}`;
  if (replacements === 0) throw new FileError("no_match", `String to replace not found in file.\n${named}`);
  if (replacements > 1 && !change.all) {
    throw new FileError(
      "not_unique",
      `Found ${replacements} matches of the string to replace, but replace_all is false. To replace all occurrences, set replace_all to true. To replace only one occurrence, please provide more context to uniquely identify the instance.\n${named}`,
    );
  }
  return { bytes: encodeText(pieces.join(newText)), replacements };
}

/** Characters of a text that an error repeats. */
const longestRepeated = 2_000;

function shorten(text: string): string {
  return text.length <= longestRepeated ? text : `${text.slice(0, longestRepeated)}…`;
}

/**
 * Readers are shown lines without their ends, so what they send has line feeds: in a file whose lines end with carriage
 * return and line feed both texts are meant with those, and the file keeps them.
 * @returns What is around each occurrence: one piece where there is none.
 */
export function splitByText(
  text: string,
  { oldText, newText }: Pick<TextChange, "oldText" | "newText">,
): { readonly pieces: readonly string[]; readonly newText: string } {
  if (oldText === "") return { pieces: [text], newText };
  const returns = countOf(text, "\r\n");
  const plain = { oldText, newText };
  const withReturns = { oldText: toReturns(oldText), newText: toReturns(newText) };
  const tried = hasReturns(text) ? [withReturns, plain] : returns > 0 ? [plain, withReturns] : [plain];
  const found = tried.map((one) => ({ pieces: text.split(one.oldText), newText: one.newText }));
  return found.find(({ pieces }) => pieces.length > 1) ?? { pieces: [text], newText };
}

/** Whether most lines end with carriage return and line feed. */
export function hasReturns(text: string): boolean {
  return countOf(text, "\r\n") > countOf(text, "\n") / 2;
}

function countOf(text: string, part: string): number {
  return text.split(part).length - 1;
}

export function toReturns(text: string): string {
  return text.replaceAll(/\r?\n/g, "\r\n");
}
