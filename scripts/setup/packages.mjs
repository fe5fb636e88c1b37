/**
 * The npm packages, as the lockfile says, and the Node.js among them. `npm install --no-save` and not `npm ci`: it keeps
 * what is there (a server may be running from it), and a registry that lacks a build for some foreign platform is no
 * obstacle. Versions and checksums are the lockfile's either way; no package's install script runs (.npmrc).
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNode, isRecentNode, minimumNode, ownNode } from "../../packages/cli/bin/own-node.mjs";
import { underLock } from "./lock.mjs";
import { say, SetupError, since } from "./say.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const modules = join(root, "node_modules");
const stamp = join(modules, ".exoloop-setup");
const lock = join(modules, ".exoloop-setup.lock");

/** @throws SetupError */
export async function installPackages() {
  if (reasonToInstall() === null) return;
  await underLock(lock, async () => {
    // Another process may have done it in the meantime.
    const reason = reasonToInstall();
    if (reason === null) return;
    const started = performance.now();
    say(`installing the npm packages into node_modules: ${reason}`);
    await npmInstall();
    checkNode();
    const draft = `${stamp}.${process.pid}`;
    writeFileSync(draft, fingerprint());
    renameSync(draft, stamp);
    say(`npm packages installed in ${since(started)}`);
  });
}

function reasonToInstall() {
  if (!existsSync(join(modules, ".package-lock.json"))) return "there are none yet";
  if (findNode() === null)
    return `Node.js ${process.versions.node} is older than ${minimumNode.join(".")}, and npm has a newer one`;
  if (!existsSync(stamp)) return "it is not known which version of package-lock.json they are from";
  return readFileSync(stamp, "utf8") === fingerprint() ? null : "package-lock.json or a package.json has changed";
}

/** Of everything that decides what is installed. */
function fingerprint() {
  const packages = readdirSync(join(root, "packages"))
    .sort()
    .map((name) => join("packages", name, "package.json"));
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\0`);
  for (const name of ["package-lock.json", "package.json", ".npmrc", ...packages]) {
    const path = join(root, name);
    if (existsSync(path)) hash.update(`${name}\0`).update(readFileSync(path)).update("\0");
  }
  return hash.digest("hex");
}

async function npmInstall() {
  mkdirSync(modules, { recursive: true });
  // Whatever NODE_ENV or a person's own configuration says.
  const options = ["--no-save", "--include=dev", "--include=optional", "--loglevel=error", "--no-progress"];
  const { code, errors } = await runNpm(["install", ...options]);
  if (code === 0) return;
  process.stderr.write(errors);
  throw new SetupError(
    "npm could not install the packages (its message is above): check the connection to the registry, then run the command again.",
  );
}

function runNpm(args) {
  const script = process.env.npm_execpath ?? "";
  // The npm that was called, rather than another that is found first.
  const [program, first] = /npm-cli\.c?js$/.test(script) ? [process.execPath, [script]] : ["npm", []];
  const child = spawn(program, [...first, ...args], { cwd: root, stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors = (errors + text).slice(-20_000);
  });
  return new Promise((resolve, reject) => {
    child.once("error", () =>
      reject(new SetupError("npm is not installed: install it (Debian, Ubuntu: apt-get install npm).")),
    );
    child.once("close", (code) => resolve({ code, errors }));
  });
}

/** Is there a Node.js that is recent enough, and does it run? */
function checkNode() {
  const wanted = minimumNode.join(".");
  const node = findNode();
  if (node === null) {
    throw new SetupError(
      `Node.js ${process.versions.node} is too old, and npm has no newer one for ${process.platform}-${process.arch}: install Node.js ${wanted} or newer.`,
    );
  }
  if (node !== ownNode) return;
  const { stdout, status } = spawnSync(node, ["--version"], { encoding: "utf8" });
  if (status === 0 && isRecentNode(stdout.trim().slice(1))) return;
  throw new SetupError(
    `the Node.js that npm brought along does not run on this system (${node}): install Node.js ${wanted} or newer and remove node_modules/.bin/node.`,
  );
}
