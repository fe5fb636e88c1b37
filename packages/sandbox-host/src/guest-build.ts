/** Builds the supervisor with the machine's compiler, or takes the prebuilt one. @module */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";

const guestDirectory = join(import.meta.dirname, "../guest");
const prebuiltDirectory = join(import.meta.dirname, "../prebuilt");
const defaultBuildDirectory = join(import.meta.dirname, "../../../build/guest");
const flags = ["-static", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-pthread", "-s"];
const compilerPatienceMs = 60_000;

export interface GuestBuild {
  readonly path: string;
  readonly sourceHash: string;
  readonly origin: "compiled" | "prebuilt";
}

function sources(): string[] {
  return readdirSync(guestDirectory)
    .filter((name) => name.endsWith(".c") || name.endsWith(".h"))
    .sort();
}

/** SHA-256 over names and contents of the guest's sources. */
export function hashGuestSources(): string {
  const hash = createHash("sha256");
  for (const name of sources())
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(guestDirectory, name)))
      .update("\0");
  return hash.digest("hex");
}

/** Null when there is none for this platform, or it was made from other sources. */
export function findPrebuilt(platform: string, sourceHash: string): string | null {
  const directory = join(prebuiltDirectory, platform);
  const path = join(directory, "supervisor");
  const recorded = join(directory, "source.sha256");
  if (!existsSync(path) || !existsSync(recorded)) return null;
  return readFileSync(recorded, "utf8").trim() === sourceHash ? path : null;
}

/** Makes `target` with a C compiler. @throws what execFileSync throws: no compiler, or its complaints. */
export function compileGuest(compiler: string, target: string, extraFlags: readonly string[] = []): void {
  const files = sources().filter((name) => name.endsWith(".c"));
  const inputs = files.map((name) => join(guestDirectory, name));
  execFileSync(compiler, [...flags, "-o", target, ...inputs, ...extraFlags], {
    stdio: "pipe",
    timeout: compilerPatienceMs,
  });
}

/**
 * The supervisor for this machine; built at most once per version of its sources.
 * @throws SandboxUnavailableError when there is neither a compiler nor a prebuilt program.
 */
export function buildGuest(buildDirectory: string = defaultBuildDirectory): GuestBuild {
  const sourceHash = hashGuestSources();
  const directory = join(buildDirectory, sourceHash.slice(0, 16));
  const path = join(directory, "supervisor");
  if (existsSync(path)) return { path, sourceHash, origin: "compiled" };
  const temporary = `${path}.${process.pid}`;
  let complaint = "";
  try {
    mkdirSync(directory, { recursive: true });
    compileGuest("cc", temporary);
    chmodSync(temporary, 0o755);
    renameSync(temporary, path);
    return { path, sourceHash, origin: "compiled" };
  } catch (error) {
    complaint = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
  }
  const prebuilt = findPrebuilt(`${process.platform}-${process.arch}`, sourceHash);
  if (prebuilt !== null) return { path: prebuilt, sourceHash, origin: "prebuilt" };
  throw new SandboxUnavailableError(
    `there is no sandbox supervisor for ${process.platform}-${process.arch}, and it cannot be compiled: ${complaint}`,
    "Install a C compiler: apt-get install gcc libc6-dev",
  );
}

if (import.meta.main) {
  const { path, origin } = buildGuest();
  process.stdout.write(`${origin} ${path}\n`);
}
