/**
 * The arrows check: no import that ARCHITECTURE.md does not allow.
 *
 *   node scripts/arrows.ts
 * @module
 */
import { join } from "node:path";
import { cruise } from "./cruise.ts";
import { report } from "./finding.ts";

const { findings, files } = await cruise(join(import.meta.dirname, ".."));
report(findings, `${files} files`);
