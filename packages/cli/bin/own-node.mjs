/**
 * Which Node.js runs our TypeScript, and running something with it. Plain JavaScript that Node 18 understands: this is
 * what older versions see first.
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The oldest Node.js that runs TypeScript as it is here: [major, minor]. */
export const minimumNode = [22, 19];

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Brought along by npm on Linux; on other systems the machine's Node.js has to do. */
export const ownNode = join(root, "node_modules", ".bin", "node");

/** @example isRecentNode("22.19.0") // true */
export function isRecentNode(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > minimumNode[0] || (major === minimumNode[0] && minor >= minimumNode[1]);
}

/** Path of a Node.js that is recent enough, or null. Does not start it. */
export function findNode() {
  if (existsSync(ownNode)) return ownNode;
  return isRecentNode(process.versions.node) ? process.execPath : null;
}

/** Runs `node …args` on this terminal, passes signals on, and ends this process as the other ended. */
export function becomeNode(node, args) {
  const path = [join(root, "node_modules", ".bin"), process.env.PATH].filter(Boolean).join(":");
  const child = spawn(node, args, { stdio: "inherit", env: { ...process.env, PATH: path } });
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    // An interrupt typed at a terminal has reached the child already; a second one would mean "now, without order".
    process.on(signal, () => (signal === "SIGINT" && atTerminal ? undefined : child.kill(signal)));
  }
  child.once("error", (error) => {
    process.stderr.write(`${node} cannot be started: ${error.message}\n`);
    process.exit(1);
  });
  child.once("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
