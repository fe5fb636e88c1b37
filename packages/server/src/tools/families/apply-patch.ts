/**
 * The tool `apply_patch`: files are added, changed, moved and deleted by one patch, as OpenAI's models are trained to
 * write it. The whole patch is computed before anything is written. Stored files of one mount change in one commit;
 * files of the sandbox one after the other, before stored ones.
 * @module
 */
import { z } from "zod";
import type { RoutedFiles } from "../../files/router.ts";
import { FileError, type FileTransformation } from "../../files/store.ts";
import { decodeText, encodeText } from "../../files/text.ts";
import { applyChunks, type Work } from "../patch/apply.ts";
import { type FilePatch, parseAdded, parseDiff, parsePatch, PatchError } from "../patch/parse.ts";
import { defineTool, errorResult, textResult } from "../registry.ts";

/** Characters. */
const longestPatch = 2_000_000;

const notAtomic =
  "This was not atomic: the files lie in different places, and were changed place after place, those of the sandbox first.";

const operation = z.strictObject({
  type: z.enum(["create_file", "update_file", "delete_file"]),
  path: z.string(),
  diff: z.string().max(longestPatch).optional(),
});

const schema = z.strictObject({
  patch: z
    .string()
    .max(longestPatch)
    .describe("From *** Begin Patch to *** End Patch. Paths are absolute, or relative to /workspace.")
    .optional(),
  operation: operation.describe("One file at a time, instead of a patch.").optional(),
});

export const applyPatchTool = defineTool({
  name: "apply_patch",
  description: [
    "Changes files by a patch: *** Begin Patch, then for each file *** Add File: PATH (each line with +), *** Delete File: PATH, or *** Update File: PATH (optionally *** Move to: PATH; then @@ with a line above the change, and lines that begin with a space, - or +), then *** End Patch.",
    "Nothing is changed when any part does not apply.",
  ].join(" "),
  schema,
  aliases: { input: "patch", patch_text: "patch" },
  // The first run may have left lines that match again.
  replay: "never",
  parallel: false,
  uses: (input) => {
    const paths = patchesIn(input).flatMap((one) =>
      one.type === "update" && one.moveTo !== null ? [one.path, one.moveTo] : [one.path],
    );
    return paths.map((path) => ["file.write", path] as const);
  },
  async run({ patch, operation: single }, { files, actor }) {
    if ((patch === undefined) === (single === undefined))
      return errorResult("apply_patch: give either patch or operation.");
    try {
      const patches = patch === undefined ? [fromOperation(single)] : parsePatch(patch);
      const plan = planOf(patches, files);
      await files.transform(plan.paths, plan.change, actor, plan.movedFrom);
      const lines = ["Success. Updated the following files:", ...plan.summary];
      return textResult([...lines, ...(files.spansMounts(plan.paths) ? [notAtomic] : [])].join("\n"));
    } catch (error) {
      if (error instanceof PatchError) return errorResult(`${error.message}\nNothing was changed.`);
      throw error;
    }
  },
});

/** None of what cannot be read: that call changes nothing. */
function patchesIn({ patch, operation: single }: z.output<typeof schema>): readonly FilePatch[] {
  try {
    return patch === undefined ? [fromOperation(single)] : parsePatch(patch);
  } catch (error) {
    if (error instanceof PatchError) return [];
    throw error;
  }
}

function fromOperation(given: z.output<typeof operation> | undefined): FilePatch {
  if (given === undefined) throw new PatchError("The patch is missing.");
  const { type, path, diff = "" } = given;
  if (type === "delete_file") return { type: "delete", path };
  if (type === "create_file") return { type: "add", path, text: parseAdded(diff) };
  return { type: "update", path, moveTo: null, chunks: parseDiff(diff) };
}

interface Plan {
  /** Every path that the patch touches, once. */
  readonly paths: readonly string[];
  readonly change: FileTransformation;
  readonly movedFrom: ReadonlyMap<string, string>;
  readonly summary: readonly string[];
}

function planOf(patches: readonly FilePatch[], files: RoutedFiles): Plan {
  const steps = patches.map((patch) => {
    const path = files.resolve(patch.path);
    const to = patch.type === "update" && patch.moveTo !== null ? files.resolve(patch.moveTo) : path;
    return { patch, path, to };
  });
  const paths = steps.flatMap(({ path, to }) => (path === to ? [path] : [path, to]));
  const named = new Set<string>();
  const twice = paths.find((path) => named.size === named.add(path).size);
  if (twice !== undefined) throw new PatchError(`Duplicate Path: ${twice} is named twice: put its changes together.`);
  const letters = { add: "A", update: "M", delete: "D" } as const;
  return {
    paths,
    movedFrom: new Map(steps.flatMap(({ path, to }) => (path === to ? [] : [[to, path] as const]))),
    summary: steps.map(({ patch, path, to }) => `${letters[patch.type]} ${path === to ? path : `${path} -> ${to}`}`),
    change: (before) => {
      const after = new Map<string, Uint8Array | null>();
      const work = { looks: 0 };
      for (const { patch, path, to } of steps) {
        if (to !== path && before.has(to)) throw new PatchError(`Move Error: File already exists: ${to}`);
        if (to !== path) after.set(path, null);
        after.set(to, contentAfter(patch, path, before.get(path), work));
      }
      return after;
    },
  };
}

function contentAfter(patch: FilePatch, path: string, before: Uint8Array | undefined, work: Work): Uint8Array | null {
  if (patch.type === "add") {
    if (before !== undefined) throw new PatchError(`Add File Error: File already exists: ${path}`);
    return encodeText(patch.text);
  }
  if (before === undefined)
    throw new PatchError(`${patch.type === "delete" ? "Delete" : "Update"} File Error: Missing File: ${path}`);
  if (patch.type === "delete") return null;
  const text = decodeText(before);
  if (text === null) throw new FileError("binary", `${path} is a binary file and cannot be patched.`);
  return encodeText(applyChunks(path, text, patch.chunks, work));
}
