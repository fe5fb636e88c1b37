#!/usr/bin/env node
/** `exoloop` for any Node.js from 18 on: finds one that is recent enough, and runs the command line with it. @module */
import { fileURLToPath } from "node:url";
import { becomeNode, findNode, isRecentNode, minimumNode } from "./own-node.mjs";

const entry = new URL("../src/main.ts", import.meta.url);
const node = findNode();

if (isRecentNode(process.versions.node)) {
  await import(entry.href);
} else if (node === null) {
  const wanted = minimumNode.join(".");
  process.stderr.write(
    `exoloop needs Node.js ${wanted} or newer, this is ${process.versions.node}: run \`npm run setup\`.\n`,
  );
  process.exitCode = 1;
} else {
  becomeNode(node, [fileURLToPath(entry), ...process.argv.slice(2)]);
}
