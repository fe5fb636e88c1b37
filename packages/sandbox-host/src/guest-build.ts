/** Builds the guest's programs with the machine's compiler, or takes the prebuilt ones. @module */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";

const guestDirectory = join(import.meta.dirname, "../guest");
const prebuiltDirectory = join(import.meta.dirname, "../prebuilt");
const defaultBuildDirectory = join(import.meta.dirname, "../../../build/guest");
const flags = ["-Os", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-pthread"];
const released = ["-static", "-s"];
const compilerPatienceMs = 60_000;

/**
 * `supervisor` serves inside the sandbox; `confine` gives up what it must not have, then becomes it; `launch` is what it
 * starts commands with, `transfer` what it has files and ports served by; `probe` asks for what no sandbox may have.
 */
export const guestPrograms = ["supervisor", "confine", "launch", "transfer", "probe"] as const;
export type GuestProgram = (typeof guestPrograms)[number];

export interface GuestBuild extends Readonly<Record<GuestProgram, string>> {
  readonly sourceHash: string;
  readonly origin: "compiled" | "prebuilt";
}

/** Folders of which it is made. */
function foldersOf(program: GuestProgram): string[] {
  return program === "supervisor" || program === "transfer" ? [program, "frames"] : [program];
}

function sources(program: GuestProgram): string[] {
  return foldersOf(program).flatMap((folder) =>
    readdirSync(join(guestDirectory, folder))
      .filter((name) => name.endsWith(".c") || name.endsWith(".h"))
      .sort()
      .map((name) => `${folder}/${name}`),
  );
}

/** SHA-256 over names and contents of the guest's sources. */
export function hashGuestSources(): string {
  const hash = createHash("sha256");
  for (const name of new Set(guestPrograms.flatMap(sources)))
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(guestDirectory, name)))
      .update("\0");
  return hash.digest("hex");
}

/** The directory with the programs; null when there is none for this platform, or it was made from other sources. */
export function findPrebuilt(platform: string, sourceHash: string): string | null {
  const directory = join(prebuiltDirectory, platform);
  const recorded = join(directory, "source.sha256");
  if (!existsSync(recorded) || !guestPrograms.every((name) => existsSync(join(directory, name)))) return null;
  return readFileSync(recorded, "utf8").trim() === sourceHash ? directory : null;
}

/** Makes `target` with a C compiler. @throws what execFileSync throws: no compiler, or its complaints. */
export function compileGuest(
  compiler: string,
  program: GuestProgram,
  target: string,
  extraFlags: readonly string[] = released,
): void {
  const inputs = sources(program)
    .filter((name) => name.endsWith(".c"))
    .map((name) => join(guestDirectory, name));
  execFileSync(compiler, [...flags, "-o", target, ...inputs, ...extraFlags], {
    stdio: "pipe",
    timeout: compilerPatienceMs,
  });
}

function compileInto(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const program of guestPrograms) {
    const path = join(directory, program);
    if (existsSync(path)) continue;
    const temporary = `${path}.${process.pid}`;
    compileGuest("cc", program, temporary);
    chmodSync(temporary, 0o755);
    renameSync(temporary, path);
  }
}

function describeBuild(directory: string, sourceHash: string, origin: GuestBuild["origin"]): GuestBuild {
  const path = (program: GuestProgram): string => join(directory, program);
  const programs = {
    supervisor: path("supervisor"),
    confine: path("confine"),
    launch: path("launch"),
    transfer: path("transfer"),
    probe: path("probe"),
  };
  return { ...programs, sourceHash, origin };
}

/**
 * The programs for this machine; built at most once per version of their sources.
 * @throws SandboxUnavailableError when there is neither a compiler nor a prebuilt program.
 */
export function buildGuest(buildDirectory: string = defaultBuildDirectory): GuestBuild {
  const sourceHash = hashGuestSources();
  const directory = join(buildDirectory, sourceHash.slice(0, 16));
  let complaint = "";
  try {
    compileInto(directory);
    return describeBuild(directory, sourceHash, "compiled");
  } catch (error) {
    complaint = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
  }
  const prebuilt = findPrebuilt(`${process.platform}-${process.arch}`, sourceHash);
  if (prebuilt !== null) return describeBuild(prebuilt, sourceHash, "prebuilt");
  throw new SandboxUnavailableError(
    `there is no sandbox supervisor for ${process.platform}-${process.arch}, and it cannot be compiled: ${complaint}`,
    "Install a C compiler: apt-get install gcc libc6-dev",
  );
}

if (import.meta.main) {
  const built = buildGuest();
  for (const program of guestPrograms) process.stdout.write(`${built.origin} ${built[program]}\n`);
}
