/** Runs the probes where there are no walls: every one of them must reach what it asks for, or it proves nothing. @module */
import { execFile } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Canaries, Facts } from "./canaries.ts";

const patienceMs = 30_000;

export function factArguments(facts: Facts): string[] {
  return Object.entries(facts).map(([name, value]) => `${name}=${value}`);
}

/**
 * The probe program makes itself a mount namespace, which ends with it, and a root in memory. Its process 1 is the
 * canary.
 * @throws Error when this is not root: no control, no proof.
 */
export async function askInWeakControl(probe: string, canaries: Canaries): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), "exoloop-weak-"));
  const facts = { ...canaries.facts, init: canaries.facts["process"] ?? "", outside: canaries.directory, weak: root };
  try {
    const { stdout } = await promisify(execFile)(probe, factArguments(facts), { timeout: patienceMs });
    return stdout;
  } finally {
    rmdirSync(root);
  }
}
