/** Skills that keep the rules, for tests of the files in them. @module */
import { encodeText } from "./text.ts";

/** @example skillManifest("review", "Read the diff.\n") */
export function skillManifest(name: string, body: string, description = `Does ${name}.`) {
  return { path: "SKILL.md", bytes: encodeText(`---\nname: ${name}\ndescription: ${description}\n---\n${body}`) };
}
