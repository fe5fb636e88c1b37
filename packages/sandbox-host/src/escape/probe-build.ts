/** Builds the program that runs the live probes, with the machine's compiler. @module */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";

const sourceDirectory = join(import.meta.dirname, "../../guest/probe");
const buildDirectory = join(import.meta.dirname, "../../../../build/probe");
const flags = ["-static", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-s"];
const compilerPatienceMs = 60_000;

/**
 * The static program for this machine; built at most once per version of its sources.
 * @throws SandboxUnavailableError when it cannot be compiled: without probes nobody knows whether the walls stand.
 */
export function buildProbe(): string {
  const names = readdirSync(sourceDirectory).sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(name).update(readFileSync(join(sourceDirectory, name)));
  const directory = join(buildDirectory, hash.digest("hex").slice(0, 16));
  const path = join(directory, "escape-probe");
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  const draft = `${path}.${process.pid}`;
  const inputs = names.filter((name) => name.endsWith(".c")).map((name) => join(sourceDirectory, name));
  try {
    execFileSync("cc", [...flags, "-o", draft, ...inputs], { stdio: "pipe", timeout: compilerPatienceMs });
  } catch (error) {
    const complaint = error instanceof Error ? error.message.slice(0, 500) : String(error);
    throw new SandboxUnavailableError(
      `the escape probes cannot be compiled: ${complaint}`,
      "Install a C compiler: apt-get install gcc libc6-dev",
    );
  }
  chmodSync(draft, 0o755);
  renameSync(draft, path);
  return path;
}
