/** How much of the past is taken into memory at once. @module */
import { FileError } from "../../store.ts";

/** Bytes of all contents. */
const mostBytes = 64 * 1024 * 1024;

/**
 * @param sizes By hash, in bytes.
 * @param remedy One sentence: how to do it in parts.
 * @throws FileError `too_large`
 */
export function refuseTooMuch(sizes: ReadonlyMap<string, number>, remedy: string): void {
  let bytes = 0;
  for (const size of sizes.values()) bytes += size;
  if (bytes <= mostBytes) return;
  throw new FileError(
    "too_large",
    `${bytes} bytes of the past would be needed at once, at most ${mostBytes} are taken: ${remedy} Nothing was changed.`,
  );
}
