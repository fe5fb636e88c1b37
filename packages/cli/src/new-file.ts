/** Writing what was asked for into a file that must not exist yet. @module */
import { CommandError } from "./exit-codes.ts";

/** @throws CommandError whatever keeps `path` from being written, in one sentence */
export async function writingTo<Result>(path: string, write: () => Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) throw error;
    const exists = error.code === "EEXIST";
    throw new CommandError(
      exists ? `${path} exists already: name another file.` : `${path} cannot be written (${String(error.code)}).`,
    );
  }
}
