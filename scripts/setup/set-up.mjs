/**
 * Set-up with nothing assumed but Node.js 20, npm and git: packages, a recent Node.js, what the sandbox needs from the
 * system. Silent and fast (a few milliseconds) when there is nothing to do. Plain JavaScript without dependencies: it
 * runs before anything is installed.
 * @module
 */
import { installPackages } from "./packages.mjs";
import { say, SetupError } from "./say.mjs";
import { ensureSystemPackages } from "./system-packages.mjs";

const oldestNode = 20;

/** True when everything is there. Otherwise it has said what is missing and what to run. */
export async function setUp({ sandbox }) {
  try {
    const major = Number(process.versions.node.split(".")[0]);
    if (major < oldestNode) {
      throw new SetupError(`Node.js ${process.versions.node} is too old: install Node.js ${oldestNode} or newer.`);
    }
    await installPackages();
    if (sandbox) await ensureSystemPackages();
    return true;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    return false;
  }
}
