/** How much may be changed at once: contents of all files are in memory while a change is computed. @module */
import { FileError } from "../store.ts";

/** Bytes of all files together. */
const mostBytes = 32 * 1024 * 1024;

/** @throws FileError `too_large` */
export function refuseLargeBatch(bytes: number): void {
  if (bytes <= mostBytes) return;
  throw new FileError(
    "too_large",
    `The files have more than ${mostBytes / 1024 ** 2} MiB together, too much to be changed at once: change them in several steps. Nothing was changed.`,
  );
}
