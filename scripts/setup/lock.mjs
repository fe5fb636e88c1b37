/** A lock between processes: a file that holds the owner's process id. @module */
import { linkSync, mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say, SetupError } from "./say.mjs";

const pollMs = 200;
const patienceMs = 15 * 60_000;

/** Runs `work` while no other process does. A lock whose owner has died is taken over. */
export async function underLock(path, work) {
  await take(path);
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

async function take(path) {
  mkdirSync(dirname(path), { recursive: true });
  const deadline = Date.now() + patienceMs;
  let told = false;
  while (!tryTake(path)) {
    const owner = readOwner(path);
    if (owner !== null && !isAlive(owner)) {
      removeDead(path, owner);
      continue;
    }
    if (!told && owner !== null) say(`waiting for the set-up that process ${owner} is doing`);
    told ||= owner !== null;
    if (Date.now() > deadline)
      throw new SetupError(`process ${owner} has been setting up for too long: end it, or remove ${path}`);
    await sleep(pollMs);
  }
}

/** The link makes a file that is complete the moment it exists: no reader sees one without its owner. */
function tryTake(path) {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, String(process.pid));
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    unlinkSync(draft);
  }
}

/** Two that see the same dead owner must not remove each other's new lock: only one makes the second file. */
function removeDead(path, owner) {
  const claim = `${path}.dead-${owner}`;
  try {
    writeFileSync(claim, "", { flag: "wx" });
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return;
  }
  if (readOwner(path) === owner) rmSync(path, { force: true });
  rmSync(claim, { force: true });
}

function readOwner(path) {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
