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
  const pieces = change.oldText === "" ? [text] : text.split(change.oldText);
  const replacements = pieces.length - 1;
  if (replacements === 0) {
    throw new FileError(
      "no_match",
      `old_string was not found in ${path}. It must match exactly, with spaces and line ends: read the file and copy it.`,
    );
  }
  if (replacements > 1 && !change.all) {
    throw new FileError(
      "not_unique",
      `old_string appears ${replacements} times in ${path}: add surrounding lines until it is unique, or set replace_all.`,
    );
  }
  return { bytes: encodeText(pieces.join(change.newText)), replacements };
}
