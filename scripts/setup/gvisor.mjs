/**
 * gVisor's `runsc` for the second sandbox runtime: `node scripts/setup/gvisor.mjs`. The machine's own where it is new
 * enough; else Debian's newest package for this release (its backports), unpacked under build/gvisor. Nothing is
 * installed into the system: apt works with lists and a cache of its own, from the mirror that the machine already uses.
 * @module
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { underLock } from "./lock.mjs";
import { say, SetupError, since } from "./say.mjs";

const directory = fileURLToPath(new URL("../../build/gvisor", import.meta.url));
const program = join(directory, "runsc");
/** The version of Debian 12 itself (20221219) refuses flags of stat(2) that `ls` and Python use. */
const oldestUsable = 20_230_501;
const attempts = 3;

/** "runsc version 0.0~20240729.0" → 20240729; null for what says no date. */
export function readVersion(text) {
  const date = /(20\d{6})/.exec(text)?.[1];
  return date === undefined ? null : Number(date);
}

function isUsable(path) {
  const { stdout, status } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return status === 0 && (readVersion(stdout) ?? 0) >= oldestUsable;
}

/** Path of a usable runsc, or null. */
export function findGvisor() {
  if (existsSync(program)) return program;
  return isUsable("runsc") ? "runsc" : null;
}

/** @throws SetupError when there is none and none can be had. */
export async function ensureGvisor() {
  const found = findGvisor();
  if (found !== null) return found;
  await underLock(join(directory, "..", "gvisor.lock"), async () => {
    if (findGvisor() === null) fetchGvisor();
  });
  return findGvisor();
}

function run(name, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: "utf8", ...options });
  if (status === 0) return stdout;
  throw new SetupError(
    `gVisor: ${name} failed: ${(stderr ?? error?.message ?? "").trim().split("\n").slice(-2).join(" ")}`,
  );
}

/** The archives that this machine installs from, and the release that it runs. */
function readArchive() {
  const format = "$(REPO_URI) $(ORIGIN) $(CODENAME)";
  const lines = run("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]).trim().split("\n");
  const [uri, , codename] = lines.map((line) => line.split(" ")).find(([, origin]) => origin === "Debian") ?? [];
  if (uri === undefined || codename === undefined)
    throw new SetupError("gVisor: this machine has no Debian archive: install a runsc of May 2023 or later yourself.");
  return { uri, release: codename.split("-")[0] };
}

function fetchGvisor() {
  const started = performance.now();
  const { uri, release } = readArchive();
  const work = mkdtempSync(join(tmpdir(), "exoloop-gvisor-"));
  try {
    for (const name of ["lists/partial", "cache/archives/partial", "deb"])
      mkdirSync(join(work, name), { recursive: true });
    writeFileSync(join(work, "sources.list"), `deb ${uri} ${release} main\ndeb ${uri} ${release}-backports main\n`);
    say(`fetching gVisor's runsc from Debian (${release}-backports)`);
    const own = [
      ...["-qq", "-o", `Dir::Etc::sourcelist=${join(work, "sources.list")}`, "-o", "Dir::Etc::sourceparts=-"],
      ...["-o", `Dir::State::lists=${join(work, "lists")}`, "-o", `Dir::Cache=${join(work, "cache")}`],
      ...["-o", "Acquire::Languages=none", "-o", `Acquire::Retries=${attempts}`, "-o", "APT::Sandbox::User="],
    ];
    run("apt-get", [...own, "update"]);
    download(own, [`runsc/${release}-backports`, "runsc"], join(work, "deb"));
    unpack(work);
    say(`gVisor's runsc is in build/gvisor (${since(started)})`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The first that there is: a release whose own package is new enough has none in its backports. */
function download(options, names, cwd) {
  const complaints = [];
  for (const name of names) {
    try {
      return run("apt-get", [...options, "download", name], { cwd });
    } catch (error) {
      complaints.push(error.message);
    }
  }
  throw new SetupError(complaints.join(" "));
}

function unpack(work) {
  const archive = readdirSync(join(work, "deb")).find((name) => name.endsWith(".deb"));
  if (archive === undefined) throw new SetupError("gVisor: apt-get downloaded nothing.");
  run("dpkg-deb", ["-x", join(work, "deb", archive), join(work, "unpacked")]);
  const unpacked = join(work, "unpacked/usr/bin/runsc");
  if (!isUsable(unpacked))
    throw new SetupError(`gVisor: Debian's newest package (${archive}) is too old or does not run on this machine.`);
  mkdirSync(directory, { recursive: true });
  const draft = `${program}.${process.pid}`;
  copyFileSync(unpacked, draft);
  chmodSync(draft, 0o755);
  renameSync(draft, program);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    process.stdout.write(`${await ensureGvisor()}\n`);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
