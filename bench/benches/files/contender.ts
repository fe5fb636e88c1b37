/** One store of files under measurement, filled with the corpus. What it cannot do is absent. @module */

export interface Contender {
  readonly name: string;
  read(path: string): Promise<string>;
  /** A file that did not exist; it survives a crash afterwards where the store promises that. */
  write(path: string, text: string): Promise<void>;
  /** Replaces a text that is in the file once. */
  edit(path: string, oldText: string, newText: string): Promise<void>;
  /** How many files are in a directory, with their times. */
  list(directory: string): Promise<number>;
  /** How many files, anywhere, have a name in which this stands, and this ending. */
  glob(part: string, ending: string): Promise<number>;
  /** How many lines match; at most `maximum`. */
  grep(pattern: string, maximum: number): Promise<number>;
  close(): Promise<void>;
}

/** Why a contender is not measured, in one sentence. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
