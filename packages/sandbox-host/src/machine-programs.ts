/** Which of the machine's own programs there are: whoever starts a daemon tells it. @module */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const fetched = join(import.meta.dirname, "../../../build/gvisor/runsc");
/** Older ones refuse flags of stat(2) that `ls` and Python use. */
const oldestUsable = 20_230_501;
const patienceMs = 10_000;

/** The first executable of that name on a PATH-like list. */
export function findProgram(name: string, searchPath: string = process.env["PATH"] ?? ""): string | null {
  for (const directory of searchPath.split(delimiter).filter(Boolean)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return null;
}

/** gVisor's: the one that set-up has fetched, else the machine's own. */
export function findRunsc(): string | null {
  return existsSync(fetched) ? fetched : findProgram("runsc");
}

/** `program`: null where it cannot be used. */
export async function checkRunsc(): Promise<{ readonly program: string | null; readonly detail: string }> {
  const program = findRunsc();
  if (program === null) return { program, detail: "runsc is not installed" };
  const running = promisify(execFile)(program, ["--version"], { timeout: patienceMs });
  const answer = await running.catch(() => null);
  if (answer === null) return { program: null, detail: `${program} does not run` };
  const date = Number(/(20\d{6})/.exec(answer.stdout)?.[1] ?? 0);
  if (date < oldestUsable) return { program: null, detail: `runsc of ${date} is too old` };
  return { program, detail: `runsc of ${date} at ${program}` };
}
