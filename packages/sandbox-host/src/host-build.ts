/**
 * Makes what the daemon only reads: the programs inside a sandbox and its system call filters, all in one directory.
 * `node host-build.ts` is part of the set-up; whoever starts a daemon makes sure of it again.
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { buildGuest } from "./guest-build.ts";
import { assembleFilter } from "./seccomp.ts";

const gvisorModules = ["gvisor-start.ts", "confinement.ts"].map((name) => join(import.meta.dirname, "launch", name));
/** Of every sandbox. */
const etcFiles: Readonly<Record<string, string>> = {
  passwd: "root:x:0:0:root:/:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/bash\n",
  group: "root:x:0:\nagent:x:1000:\n",
  hosts: "127.0.0.1 localhost sandbox\n::1 localhost\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "resolv.conf": "",
  "ld.so.cache": "",
};
const etcDirectories = ["ssl", "ssl/certs", "alternatives"];
const defaultBuildDirectory = join(import.meta.dirname, "../../../build/host");
const removeTypes = `
  const { stripTypeScriptTypes } = require("node:module");
  process.stdout.write(stripTypeScriptTypes(require("node:fs").readFileSync(0, "utf8")));
`;

/** A module as JavaScript: half of what a sandbox would wait for its start is Node learning TypeScript. */
function toJavaScript(path: string): readonly [name: string, text: string] {
  const words = ["--disable-warning=ExperimentalWarning", "--input-type=commonjs", "--eval", removeTypes];
  const text = execFileSync(process.execPath, words, { input: readFileSync(path), encoding: "utf8" });
  return [`gvisor/${basename(path, ".ts")}.js`, text.replaceAll(/from "(\.\/[a-z-]+)\.ts"/g, 'from "$1.js"')];
}

/**
 * @returns the directory, made at most once per version of the sources.
 * @throws SandboxUnavailableError when there is neither a compiler nor a prebuilt program.
 */
export function buildHost(buildDirectory: string = defaultBuildDirectory): string {
  const guest = buildGuest();
  const filters = {
    "auto.bpf": assembleFilter(process.arch, { internet: true, extendedAttributes: true }),
    "weak.bpf": assembleFilter(process.arch, { internet: false, extendedAttributes: true }),
  };
  // gVisor answers for links what `ls` takes for a failure.
  const gvisorFilter = assembleFilter(process.arch, { internet: true, extendedAttributes: false });
  const hash = createHash("sha256")
    .update(guest.sourceHash)
    .update(JSON.stringify([etcFiles, etcDirectories, removeTypes]));
  for (const part of [...Object.values(filters), gvisorFilter, ...gvisorModules.map((path) => readFileSync(path))])
    hash.update(part);
  const directory = join(buildDirectory, hash.digest("hex").slice(0, 16));
  if (existsSync(directory)) return directory;
  const draft = `${directory}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  for (const made of ["etc", ...etcDirectories.map((name) => `etc/${name}`), "gvisor"]) mkdirSync(join(draft, made));
  const copy = (path: string, name: string): void => {
    copyFileSync(path, join(draft, name));
    chmodSync(join(draft, name), 0o755);
  };
  for (const path of [guest.supervisor, guest.confine, guest.launch, guest.transfer, guest.probe])
    copy(path, basename(path));
  // What serves files to gVisor as the sandbox's user must be able to read it.
  for (const path of [guest.launch, guest.transfer]) copy(path, join("gvisor", basename(path)));
  const texts = {
    ...filters,
    "gvisor/filter": gvisorFilter,
    "gvisor/package.json": JSON.stringify({ type: "module" }),
    ...Object.fromEntries(gvisorModules.map(toJavaScript)),
    ...Object.fromEntries(Object.entries(etcFiles).map(([name, text]) => [`etc/${name}`, text])),
  };
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(draft, name), text, { mode: 0o644 });
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
