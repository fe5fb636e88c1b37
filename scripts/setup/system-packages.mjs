/**
 * What the local sandbox needs from the system. On Debian and Ubuntu it is installed: at once when root, after a
 * question where a person with sudo sits at a terminal; otherwise one line says what to run.
 * @module
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { say, SetupError, since } from "./say.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** `programs`: one of them is enough. */
const needs = [
  { programs: ["bwrap"], packages: ["bubblewrap"], why: "starts sandboxes" },
  { programs: ["git"], packages: ["git"], why: "keeps the repositories that agents work on" },
  { programs: ["tar"], packages: ["tar"], why: "packs workspaces into snapshots" },
  {
    programs: ["cc"],
    packages: ["gcc", "libc6-dev"],
    why: "builds the supervisor inside sandboxes",
    unless: hasSupervisor,
  },
];

/** @throws SetupError when something is missing and could not be installed. */
export async function ensureSystemPackages() {
  if (process.env.EXOLOOP_SANDBOX === "none") return;
  if (process.platform !== "linux") return warnAboutPlatform();
  const missing = needs.filter(({ programs, unless }) => !programs.some(isInstalled) && !unless?.());
  if (missing.length === 0) return;
  const packages = missing.flatMap((need) => need.packages);
  const what = missing.map((need) => `${need.packages.join(" and ")} (${need.why})`).join(", ");
  if (!isInstalled("apt-get")) {
    throw new SetupError(
      `the local sandbox needs ${what}: install it with this system's package manager, or set EXOLOOP_SANDBOX=none.`,
    );
  }
  await installWithApt(packages, what);
  const still = missing.filter(({ programs }) => !programs.some(isInstalled)).flatMap((need) => need.packages);
  if (still.length > 0)
    throw new SetupError(
      `apt-get has installed ${still.join(" ")}, but its programs are not on PATH (${process.env.PATH}).`,
    );
}

function warnAboutPlatform() {
  const name = process.platform === "darwin" ? "macOS" : process.platform;
  say(
    `on ${name} everything but the local sandbox works: set EXOLOOP_SANDBOX=none to run without one, or use a Linux machine, virtual or real.`,
  );
}

async function installWithApt(packages, what) {
  const command = `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  const isRoot = process.getuid() === 0;
  if (!isRoot && !(await mayUseSudo(command, what)))
    throw new SetupError(`the local sandbox needs ${what}: run  sudo ${command}`);
  const started = performance.now();
  say(`installing system packages with apt-get: ${what}`);
  const install = () => apt(isRoot, ["install", "-y", "--no-install-recommends", ...packages]);
  // The lists of a machine or container that has never been updated are empty: only then does the first try fail.
  let outcome = install();
  if (outcome.status !== 0) {
    apt(isRoot, ["update"]);
    outcome = install();
  }
  if (outcome.status !== 0) {
    process.stderr.write(outcome.stderr);
    throw new SetupError(
      `apt-get could not install ${packages.join(" ")} (its message is above): run  ${isRoot ? "" : "sudo "}apt-get update && ${isRoot ? "" : "sudo "}${command}`,
    );
  }
  say(`system packages installed in ${since(started)}`);
}

function apt(isRoot, args) {
  const line = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120", ...args];
  const [program, ...rest] = isRoot ? line : ["sudo", "DEBIAN_FRONTEND=noninteractive", ...line];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  // sudo asks for the password on the terminal itself.
  return spawnSync(program, rest, { stdio: ["inherit", "ignore", "pipe"], encoding: "utf8", env });
}

/** In CI nobody can answer. */
async function mayUseSudo(command, what) {
  const asks = process.stdin.isTTY && process.stderr.isTTY && !process.env.CI && isInstalled("sudo");
  if (!asks) return false;
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question(
      `exoloop: the local sandbox needs ${what}.\nRun  sudo ${command}  now? [Y/n] `,
    );
    return /^(y|yes|)$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}

/** Built earlier, or made for this platform in advance. */
function hasSupervisor() {
  const prebuilt = join(root, "packages/sandbox-host/prebuilt", `${process.platform}-${process.arch}`, "supervisor");
  const built = join(root, "build/guest");
  return existsSync(prebuilt) || (existsSync(built) && readdirSync(built).length > 0);
}

function isInstalled(program) {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return directories.some((directory) => directory !== "" && isExecutable(join(directory, program)));
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
