/**
 * Takes a note of a person's own memory into one that several people read. A person decides on every such call: the
 * approval is for exactly this content, over exactly that version of the other file, and for nothing else.
 * @module
 */
import { z } from "zod";
import { diffLines } from "../files/line-diff.ts";
import { isWithin, resolvePath } from "../files/path.ts";
import { FileError, type FileStore } from "../files/store.ts";
import { decodeText, sha256Of } from "../files/text.ts";
import { defineTool, errorResult, textResult } from "./registry.ts";
import type { PreparedCall, ToolContext } from "./tool.ts";

const schema = z.strictObject({
  from: z.string().describe("A file below /memory/me."),
  to: z.string().describe("Where everybody reads it, such as /memory/org/notes.md. What is there is replaced."),
});

const personal = "/memory/me";
/** Characters that a person can be asked to judge. */
const longestReview = 32_000;

export const promoteMemoryTool = defineTool({
  name: "promote_memory",
  description:
    "Copies a note from /memory/me into memory that others read, such as /memory/org. A person is shown what will change and decides; other ways of copying it there are refused.",
  schema,
  replay: "safe",
  parallel: false,
  alwaysAsks: true,
  uses: ({ from, to }) => [
    ["file.read", from],
    ["file.write", to],
  ],
  prepare: ({ from, to }, context) => preparePromotion(resolvePath(from), resolvePath(to), context),
  async run({ from, to }, context) {
    const { approved, files, actor } = context;
    if (approved === undefined) return errorResult("promote_memory: nobody has approved this call.");
    const [source, target] = [resolvePath(from), resolvePath(to)];
    const { bytes } = await files.read(source);
    if (approved["from_sha256"] !== sha256Of(bytes)) {
      return errorResult(`promote_memory: ${source} has changed since it was approved. Nothing was copied. Ask again.`);
    }
    const expected = approved["to_version"];
    const expectedVersion = typeof expected === "string" ? expected : null;
    // A person has read it: whatever this session has read, somebody vouches for this.
    const promoting = { ...actor, via: "promotion" as const, untrusted: false };
    const { version } = await files.write(target, bytes, promoting, expectedVersion);
    return textResult(`promoted ${source} to ${target}${version === null ? "" : `, version ${version}`}`);
  },
});

async function preparePromotion(
  source: string,
  target: string,
  { files }: Pick<ToolContext, "files">,
): Promise<PreparedCall> {
  if (!isWithin(personal, source) || source === personal) return refuse(`${source} is not below ${personal}.`);
  if (!isWithin("/memory", target) || isWithin(personal, target))
    return refuse(`${target} is not in memory that others read.`);
  const content = await files.read(source);
  const text = decodeText(content.bytes);
  if (text === null) return refuse(`${source} is no text.`);
  const present = await readIfThere(files, target);
  const before = present === null ? "" : decodeText(present.bytes);
  if (before === null) return refuse(`${target} is no text.`);
  const diff = diffLines(before, text);
  if (diff === "" && present !== null) return refuse(`${target} has this content already.`);
  const review = [
    `--- ${present === null ? "(new file)" : `${target}, version ${present.version}`}`,
    `+++ ${target}`,
    diff,
  ]
    .join("\n")
    .trimEnd();
  if (review.length > longestReview) {
    return refuse(`what would change has ${review.length} characters, more than a person can judge. Promote a part.`);
  }
  const bound = {
    from: source,
    from_sha256: sha256Of(content.bytes),
    to: target,
    to_version: present?.version ?? null,
  };
  return { bound, review };
}

async function readIfThere(files: FileStore, path: string) {
  try {
    return await files.read(path);
  } catch (error) {
    if (error instanceof FileError && error.code === "not_found") return null;
    throw error;
  }
}

function refuse(why: string): PreparedCall {
  return { refusal: `promote_memory: ${why}` };
}
