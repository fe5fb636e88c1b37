/** Where Node keeps the sandbox host's code compiled: half of what its start takes is TypeScript. @module */
import { lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const usualDirectory = join(import.meta.dirname, "../../../build/compiled-host");

/**
 * What a process runs that finds code there, and the host may be root's: only this user may ever have written there.
 * @returns variables for the daemon's environment; none where its code is compiled anew.
 */
export function keepCompiled(directory: string = usualDirectory): Readonly<Record<string, string>> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { mode, uid } = lstatSync(directory);
    const isOurs = uid === process.getuid?.() && (mode & 0o777) === 0o700;
    return isOurs ? { NODE_COMPILE_CACHE: directory } : { NODE_DISABLE_COMPILE_CACHE: "1" };
  } catch {
    return { NODE_DISABLE_COMPILE_CACHE: "1" };
  }
}
