/**
 * Makes what the daemon only reads: the programs inside a sandbox and its system call filters, all in one directory.
 * `node host-build.ts` is part of the set-up; whoever starts a daemon makes sure of it again.
 * @module
 */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { buildGuest } from "./guest-build.ts";
import { assembleFilter } from "./seccomp.ts";

const defaultBuildDirectory = join(import.meta.dirname, "../../../build/host");

/**
 * @returns the directory, made at most once per version of the sources.
 * @throws SandboxUnavailableError when there is neither a compiler nor a prebuilt program.
 */
export function buildHost(buildDirectory: string = defaultBuildDirectory): string {
  const guest = buildGuest();
  const filters = {
    "auto.bpf": assembleFilter(process.arch, { internet: true, extendedAttributes: true }),
    "weak.bpf": assembleFilter(process.arch, { internet: false, extendedAttributes: true }),
    // gVisor answers for links what `ls` takes for a failure.
    "gvisor.bpf": assembleFilter(process.arch, { internet: true, extendedAttributes: false }),
  };
  const hash = createHash("sha256").update(guest.sourceHash);
  for (const filter of Object.values(filters)) hash.update(filter);
  const directory = join(buildDirectory, hash.digest("hex").slice(0, 16));
  if (existsSync(directory)) return directory;
  const draft = `${directory}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  for (const path of [guest.supervisor, guest.confine, guest.launch, guest.transfer, guest.probe])
    copyFileSync(path, join(draft, basename(path)));
  for (const [name, filter] of Object.entries(filters)) writeFileSync(join(draft, name), filter);
  try {
    renameSync(draft, directory);
  } catch (error) {
    // Another process was faster, with the same content.
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(directory)) throw error;
  }
  return directory;
}

if (import.meta.main) process.stdout.write(`${buildHost()}\n`);
