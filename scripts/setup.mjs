/** `npm run setup`: everything that the other commands would otherwise set up when they are first run. @module */
import { say } from "./setup/say.mjs";
import { setUp } from "./setup/set-up.mjs";

const started = performance.now();
if (await setUp({ sandbox: true })) say(`set up (checked in ${Math.round(performance.now() - started)} ms)`);
else process.exitCode = 1;
