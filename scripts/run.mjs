/**
 * Set-up, then a script with the right Node.js: what every npm script of this repository starts. One process and not
 * `setup && node …`, since a shell remembers where it found `node` the first time: the machine's old one.
 *
 *   node scripts/run.mjs [--code-only] <script> [arguments]
 *
 * `--code-only`: the script needs packages, but neither a sandbox nor the system packages for one.
 * @module
 */
import { becomeNode, findNode } from "../packages/cli/bin/own-node.mjs";
import { setUp } from "./setup/set-up.mjs";

const [first, ...rest] = process.argv.slice(2);
const codeOnly = first === "--code-only";
const command = codeOnly ? rest : [first, ...rest];

if (await setUp({ sandbox: !codeOnly })) becomeNode(findNode(), command);
else process.exitCode = 1;
